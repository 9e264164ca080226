"""What `hem retrain` does, and how it tells it."""

import json
import sys
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console

from inferencegraph.commands.train import logged
from inferencegraph.retraining.store import write_report
from inferencegraph.retraining.table import versions_lines
from predictors.errors import ConfigurationError
from transformers_hem.retraining.running import retrain as run
from transformers_hem.retraining.wanted import Wanted
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.record import Origin, Version

if TYPE_CHECKING:
    from transformers_hem.retraining.outcome import Outcome

PIPED: Final = 10_000  # columns where no terminal is: a line for each version, for grep


def retrain(wanted: Wanted, report: Path | None, as_json: bool) -> None:
    """Raises ConfigurationError, also for a better router that can't be put in force."""
    if report is not None:
        _require_place(report)
    console = Console(stderr=True)
    with logged(console), console.status("") as status:
        outcome = run(wanted, lambda doing: status.update(doing))
    try:
        written = write_report(wanted.folder, outcome, report)
    except ConfigurationError as error:
        raise ConfigurationError(f"{_sentences(outcome)[-1]}; but {error}") from error
    told = {**outcome.as_json(), "report": str(written)}
    _tell(told, [*_sentences(outcome), f"report: {written}"], as_json)
    if outcome.result == "failed":
        raise ConfigurationError(outcome.why)


def _require_place(report: Path) -> None:
    """Raises ConfigurationError, before the work, where the report could not be written."""
    if report.is_dir():
        raise ConfigurationError(f"--report {report} is a folder: name a file in it")
    if not report.absolute().parent.is_dir():
        raise ConfigurationError(f"--report {report}: there is no folder {report.parent}")


def _sentences(outcome: "Outcome") -> list[str]:
    lines = [
        f"{outcome.algorithm} learned from {outcome.learned} rows, judged by the newest "
        f"{outcome.judged_by}, calibrated on {outcome.calibrated_on} ({_rows(outcome.rows)})"
        if outcome.learned
        else f"nothing was trained; rows: {_rows(outcome.rows) or 'none'}"
    ]
    lines += [outcome.subsample] if outcome.subsample else []
    lines += [f"left out {count}: {why}" for why, count in outcome.left_out.items()]
    if outcome.promise:
        promises = "promises" if outcome.promoted else "would promise"
        lines.append(f"it {promises} {outcome.promise}")
    if outcome.promoted:
        lines.append(f"version {outcome.version} is in force: {outcome.why}")
    elif outcome.result == "tried":
        lines.append(f"nothing was switched, as --dry-run says: {outcome.why}")
    else:
        stays = "there is none" if outcome.champion is None else f"{outcome.champion} stays"
        lines.append(f"not promoted, version {stays}: {outcome.why}")
    return lines


def _rows(rows: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in rows.items())


def add(versions: Versions, router: str, first: bool, keep: int, as_json: bool) -> None:
    """Raises ConfigurationError."""
    before = versions.current
    if first and before is not None:
        version = versions.read(before)
        _tell(
            _facts(version), [f"version {before} is in force already; nothing was added"], as_json
        )
        return
    why = f"{router}, added by hand"
    version = versions.promote(router, Origin(how="added"), why, before, how="added", keep=keep)
    promise = f"it promises {version.promise or 'nothing, so that no check can watch it'}"
    _tell(_facts(version), [f"version {version.number} is in force: {why}", promise], as_json)


def roll_back(versions: Versions, to: int | None, as_json: bool) -> None:
    """Raises ConfigurationError."""
    before = versions.current
    version = versions.roll_back(to, "by hand")
    said = f"version {version.number} is in force again, instead of {before}"
    _tell(_facts(version), [said], as_json)


def list_versions(versions: Versions, as_json: bool) -> None:
    """Raises ConfigurationError."""
    pointer = versions.pointer
    rows = [versions.read(number) for number in versions.numbers()]
    current = pointer.current if pointer else None
    switches = [switch.model_dump() for switch in pointer.switches] if pointer else []
    facts = {
        "current": current,
        "versions": [_facts(version) for version in rows],
        "switches": switches,
    }
    if as_json or not rows:
        _tell(facts, [f"{versions.folder} has no version yet"], as_json)
    else:
        found = pointer.switches if pointer else ()
        width = get_terminal_size(fallback=(PIPED, 0)).columns
        print("\n".join(versions_lines(rows, current, found, width)))


def _facts(version: Version) -> dict[str, Any]:
    return version.model_dump(exclude={"files", "format"})


def check(versions: Versions, store: str, dry_run: bool, as_json: bool) -> int:
    """The exit code. Raises ConfigurationError."""
    from transformers_hem.retraining.watching import check as look

    found = look(versions, store, dry_run)
    _tell(found.as_json(), [found.sentence()], as_json)
    if found.untold and found.kept:
        raise ConfigurationError(found.untold)
    if found.untold:
        print(found.untold, file=sys.stderr)
    return 0 if found.kept else 1


def _tell(facts: dict[str, Any], lines: list[str], as_json: bool) -> None:
    print(json.dumps(facts) if as_json else "\n".join(lines))
