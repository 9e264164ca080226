"""A benchmark's folder: its facts, table, report and rows; and several of them side by side."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import orjson
from rich import box
from rich.table import Table

from inferencegraph.evaluate.leaderboard import rank_csv
from inferencegraph.evaluate.metrics import amount, percent, quality
from inferencegraph.evaluate.report import page
from predictors.errors import ConfigurationError
from predictors.jsonl import write_lines

RESULT: Final = "result.json"
REPORT: Final = "report.html"
RESULTS: Final = Path("results")  # where folders are made, and looked for


def new_folder(name: str, now: datetime) -> Path:
    """Of a benchmark called `name`, begun now."""
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip("-.").lower()
    return RESULTS / f"{safe or 'benchmark'}-{now:%Y%m%d-%H%M%S}"


def write(result: Mapping[str, Any], out: Path) -> None:
    """Raises ConfigurationError where the disk is full or `out` can't be written; each file is
    whole or as it was."""
    texts = {
        RESULT: orjson.dumps(result, option=orjson.OPT_INDENT_2).decode() + "\n",
        "rank.csv": rank_csv(result, selected=False),
        "selected_rank.csv": rank_csv(result, selected=True),
        REPORT: page(result),
    }
    for name, text in texts.items():
        write_lines(out / name, [text.encode()])


def read_results(paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The facts in these folders, or in all of RESULTS, the oldest first.

    Raises ConfigurationError where there are none, or for a file that is not one.
    """
    folders = list(paths) or [RESULTS]
    files = [file for folder in folders for file in _files(folder)]
    if not files:
        shown = ", ".join(map(str, folders))
        raise ConfigurationError(f"{shown}: no {RESULT} there; hem evaluate writes them")
    return sorted((_read(file) for file in files), key=lambda result: str(result["created"]))


def _files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if (folder / RESULT).is_file():
        return [folder / RESULT]
    return sorted(folder.glob(f"*/{RESULT}"))


def _read(path: Path) -> dict[str, Any]:
    try:
        result = orjson.loads(path.read_bytes())
        version = result["hem_evaluate"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} is not a result of hem evaluate: {error}") from None
    if version != 1:
        raise ConfigurationError(f"{path} is of version {version}; this hem reads version 1")
    return {**result, "folder": str(path.parent)}


def entries(results: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One for each system of each benchmark. `split`: a hash of the data sets', so that only
    entries with the same one can be compared; `router`: of the router's files; `trained_on`: of
    what it learned from, `checked` where no question is shared with it."""
    found = []
    for result in results:
        split = _split(result)
        for system in result["systems"]:
            origin = system.get("provenance", {})
            found.append(
                {
                    "benchmark": result["name"],
                    "created": result["created"],
                    "folder": result["folder"],
                    "system": system["name"],
                    "split": split,
                    "questions": result["questions"],
                    "measured": system["measured"],
                    "router": origin.get("sha256"),
                    "trained_on": origin.get("trained_on_sha256"),
                    "checked": origin.get("checked"),
                    "metrics": system["metrics"],
                }
            )
    return found


def _split(result: Mapping[str, Any]) -> str:
    told = [[data["sha256"], data["rows"], data["used"]] for data in result["data"]]
    seed = result["seed"] if any(d["rows"] != d["used"] for d in result["data"]) else None
    return hashlib.sha256(orjson.dumps([told, seed])).hexdigest()


def board(found: Sequence[Mapping[str, Any]]) -> Iterable[Table]:
    """A table for each split, the best first."""
    for split in dict.fromkeys(entry["split"] for entry in found):
        same = [entry for entry in found if entry["split"] == split]
        same.sort(key=lambda entry: -entry["metrics"]["quality"]["value"])
        yield _table(same, split)


def _table(same: Sequence[Mapping[str, Any]], split: str) -> Table:
    made = Table(
        title=f"{same[0]['benchmark']}: {same[0]['questions']:,} questions, split {split[:12]}",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for title in ("", "system"):
        made.add_column(title, no_wrap=bool(title))
    for title in ("quality", "at the edge", "cost"):
        made.add_column(title, justify="right", no_wrap=True)
    for title in ("router", "trained on", "run"):
        made.add_column(title, overflow="fold")
    for rank, entry in enumerate(same, start=1):
        metrics = entry["metrics"]
        cost = metrics.get("cost")
        made.add_row(
            str(rank),
            entry["system"],
            _with_interval(metrics["quality"]),
            percent(metrics["edge_share"]["value"]),
            amount(cost["value"]) if cost else "-",
            (entry["router"] or "-")[:12],
            _origin(entry),
            f"{entry['created'][:16].replace('T', ' ')}{'' if entry['measured'] else ', replayed'}",
        )
    return made


def _with_interval(figure: Mapping[str, float]) -> str:
    if "low" not in figure:
        return quality(figure["value"])
    return f"{quality(figure['value'])} ({quality(figure['low'])} to {quality(figure['high'])})"


def _origin(entry: Mapping[str, Any]) -> str:
    if not entry["trained_on"]:
        return "-"
    return f"{entry['trained_on'][:12]} {'checked' if entry['checked'] else 'attested'}"
