"""`hem retrain`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inferencegraph.commands.options import AsJson
from inferencegraph.commands.train import training_parameters
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from transformers_hem.calibration.targets import Target


def retrain(
    version: Annotated[
        int | None,
        typer.Argument(
            metavar="[VERSION]",
            help="With --rollback: the version to go back to. Default: the one before.",
            show_default=False,
        ),
    ] = None,
    *,
    router: Annotated[
        Path,
        typer.Option(
            envvar="HEM_ROUTER",
            help="The folder of versions, which HEM_ROUTER of the HEM servers names.",
            show_default=False,
        ),
    ],
    store: Annotated[
        str,
        typer.Option(
            envvar="HEM_FEEDBACK_STORE",
            help="The store of feedback: SQLite's file, or PostgreSQL's URL.",
            show_default=False,
        ),
    ] = "",
    data: Annotated[
        list[Path] | None,
        typer.Option(help="Labelled rows as for hem train; repeatable.", show_default=False),
    ] = None,
    algorithm: Annotated[
        str | None,
        typer.Option(
            help="Default: that of the version in force, LinearRouter for the first.",
            show_default=False,
        ),
    ] = None,
    encoder: Annotated[
        str | None, typer.Option(help="Kernel, KNN, BERT: as for hem train.")
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="Of the training: as for hem train."),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Learn from so many rows: the newest, and a draw of the others.",
            show_default=False,
        ),
    ] = None,
    max_quality_loss: Annotated[
        float | None,
        typer.Option(
            min=0,
            help="What the new version has to promise. Default: what the one in force does, 0.05 "
            "of the first.",
            show_default=False,
        ),
    ] = None,
    edge_ratio: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Instead: the share at the edge.", show_default=False),
    ] = None,
    confidence: Annotated[
        float | None,
        typer.Option(min=0.5, max=0.9999, help="That the promise holds.", show_default=False),
    ] = None,
    seed: Annotated[int, typer.Option()] = 0,
    keep: Annotated[int, typer.Option(min=1, help="Versions to keep.")] = 10,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Train and compare, and switch nothing.")
    ] = False,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Write the report here, too. It is always in reports/ of the folder.",
            show_default=False,
        ),
    ] = None,
    add: Annotated[
        str | None,
        typer.Option(
            metavar="ROUTER",
            help="Instead of training: put this router in force, as the next version.",
            show_default=False,
        ),
    ] = None,
    first: Annotated[
        bool,
        typer.Option("--first", help="With --add: only where there is no version yet."),
    ] = False,
    rollback: Annotated[
        bool, typer.Option("--rollback", help="Instead: go back to the version before.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Instead: does the version in force keep its promise? Goes back where not.",
        ),
    ] = False,
    versions: Annotated[
        bool, typer.Option("--versions", help="Instead: list the versions.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Trains a router on what came back from use, and puts it in force where it is proven better.

    Exit code 0: promoted, or not, and it says why; 1: --check has found a broken promise; 2: it
    can't be done.

    Example: `hem retrain --router versions --add embedded:linear`

    Example: `hem retrain --router versions --store feedback.db --data labels.jsonl`

    Example: `hem retrain --router versions --rollback`
    """
    from inferencegraph.commands import retraining
    from transformers_hem.retraining.wanted import Wanted
    from transformers_hem.versions.folder import Versions

    _require_one(add, first, rollback, version, check, versions)
    folder = Versions.at(router)
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
