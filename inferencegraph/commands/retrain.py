"""`hem retrain`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from inferencegraph.commands import retrain_options as options
from inferencegraph.commands.options import AsJson
from inferencegraph.commands.train import training_parameters
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from transformers_hem.calibration.targets import Target
    from transformers_hem.versions.folder import Versions


def retrain(
    version: options.Version = None,
    *,
    router: options.Router,
    store: options.Store = "",
    own: options.Own = False,
    data: options.Data = None,
    algorithm: options.Algorithm = None,
    encoder: options.Encoder = None,
    setting: options.Setting = None,
    limit: options.Limit = None,
    max_quality_loss: options.MaxQualityLoss = None,
    edge_ratio: options.EdgeRatio = None,
    confidence: options.Confidence = None,
    significance: options.Significance = None,
    seed: options.Seed = 0,
    keep: options.Keep = 10,
    dry_run: options.DryRun = False,
    report: options.Report = None,
    add: options.Add = None,
    first: options.First = False,
    rollback: options.Rollback = False,
    check: options.Check = False,
    versions: options.List = False,
    as_json: AsJson = False,
) -> None:
    """Trains a router on what came back from use, and puts it in force where it is proven better.

    Exit code 0: promoted, or not, and it says why, also where there is too little to learn from
    yet; 1: --check has found a broken promise; 2: something has to be mended, which it names;
    3: another one is at work, try again.

    Example: `hem retrain --router versions --add embedded:linear`

    Example: `hem retrain --router versions --store feedback.db --data labels.jsonl`

    Example: `hem retrain --router versions --rollback`
    """
    from inferencegraph.commands import retraining
    from transformers_hem.lifelong.contest import SIGNIFICANCE
    from transformers_hem.retraining.wanted import Wanted
    from transformers_hem.versions.folder import Versions

    instead = _instead(
        {
            "--add": add is not None,
            "--rollback": rollback,
            "--check": check,
            "--versions": versions,
        }
    )
    _require_goes_with(instead, first, version, dry_run)
    _require_training(
        instead,
        {
            "--data": data or None,
            "--own": own or None,
            "--algorithm": algorithm,
            "--encoder": encoder,
            "--set": setting or None,
            "--limit": limit,
            "--max-quality-loss": max_quality_loss,
            "--edge-ratio": edge_ratio,
            "--confidence": confidence,
            "--significance": significance,
            "--report": report,
        },
    )
    folder = Versions.at(router) if instead in (None, "--add") else _existing(router)
    if add is not None:
        retraining.add(folder, add, first, keep, as_json)
    elif rollback:
        retraining.roll_back(folder, version, as_json)
    elif versions:
        retraining.list_versions(folder, as_json)
    elif check:
        raise typer.Exit(retraining.check(folder, store, dry_run, as_json))
    else:
        wanted = Wanted(
            folder=router,
            base=tuple(data or ()),
            store=store,
            own=own,
            algorithm=algorithm,
            parameters=training_parameters(setting or [], encoder),
            target=_target(max_quality_loss, edge_ratio),
            confidence=confidence,
            limit=limit,
            significance=SIGNIFICANCE if significance is None else significance,
            seed=seed,
            keep=keep,
            dry_run=dry_run,
        )
        retraining.retrain(wanted, report, as_json)


def _instead(options: Mapping[str, bool]) -> str | None:
    """What is asked for in place of a retraining. Raises ConfigurationError."""
    given = [name for name, is_given in options.items() if is_given]
    if len(given) > 1:
        raise ConfigurationError("give one of --add, --rollback, --check and --versions")
    return given[0] if given else None


def _require_goes_with(
    instead: str | None, first: bool, version: int | None, dry_run: bool
) -> None:
    """Raises ConfigurationError."""
    if version is not None and instead != "--rollback":
        raise ConfigurationError(f"{version} is a version to go back to: give --rollback, too")
    if first and instead != "--add":
        raise ConfigurationError("--first goes with --add")
    if dry_run and instead not in (None, "--check"):
        raise ConfigurationError(
            f"--dry-run goes with a retraining or --check, and not with {instead}: nothing was done"
        )


def _require_training(instead: str | None, options: Mapping[str, object]) -> None:
    """Raises ConfigurationError for options of a retraining where there is none."""
    given = [name for name, value in options.items() if value is not None]
    if instead is not None and given:
        raise ConfigurationError(
            f"{given[0]} goes with a retraining, and not with {instead}: nothing was done"
        )


def _existing(router: Path) -> "Versions":
    """Raises ConfigurationError: only a first version makes the folder."""
    from transformers_hem.versions import disk
    from transformers_hem.versions.folder import Versions

    with disk.readable(router):
        is_folder, is_there = router.is_dir(), router.exists()
    if is_there and not is_folder:
        raise ConfigurationError(f"{router} is a file, and not a folder of versions")
    if not is_there:
        raise ConfigurationError(
            f"{router}: there is no such folder; `hem retrain --router {router} --add ROUTER` "
            "makes it, and puts a first version there"
        )
    return Versions.at(router, make=False)


def _target(max_quality_loss: float | None, edge_ratio: float | None) -> "Target | None":
    from transformers_hem.calibration.any_time import MaxQualityLossAnyTime
    from transformers_hem.calibration.targets import EdgeRatio

    if max_quality_loss is not None and edge_ratio is not None:
        raise ConfigurationError("give one of --max-quality-loss and --edge-ratio")
    if max_quality_loss is not None:
        return MaxQualityLossAnyTime(max_quality_loss)
    return None if edge_ratio is None else EdgeRatio(edge_ratio)
