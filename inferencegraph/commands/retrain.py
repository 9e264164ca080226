"""`hem retrain`."""

from typing import TYPE_CHECKING

import typer

from inferencegraph.commands import retrain_options as options
from inferencegraph.commands.options import AsJson
from inferencegraph.commands.train import training_parameters
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from transformers_hem.calibration.targets import Target


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
    from transformers_hem.retraining.wanted import Wanted
    from transformers_hem.versions.folder import Versions

    _require_one(add, first, rollback, version, check, versions)
    folder = Versions.at(router, make=not (versions or check))
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
            seed=seed,
            keep=keep,
            dry_run=dry_run,
        )
        retraining.retrain(wanted, report, as_json)


def _require_one(
    add: str | None,
    first: bool,
    rollback: bool,
    version: int | None,
    check: bool,
    versions: bool,
) -> None:
    """Raises ConfigurationError for options that contradict each other."""
    if sum([add is not None, rollback, check, versions]) > 1:
        raise ConfigurationError("give one of --add, --rollback, --check and --versions")
    if version is not None and not rollback:
        raise ConfigurationError(f"{version} is a version to go back to: give --rollback, too")
    if first and add is None:
        raise ConfigurationError("--first goes with --add")


def _target(max_quality_loss: float | None, edge_ratio: float | None) -> "Target | None":
    from transformers_hem.calibration.any_time import MaxQualityLossAnyTime
    from transformers_hem.calibration.targets import EdgeRatio

    if max_quality_loss is not None and edge_ratio is not None:
        raise ConfigurationError("give one of --max-quality-loss and --edge-ratio")
    if max_quality_loss is not None:
        return MaxQualityLossAnyTime(max_quality_loss)
    return None if edge_ratio is None else EdgeRatio(edge_ratio)
