"""Reports of a folder of versions: reports/TIME/ with a page, and the facts as JSON."""

import json
import shutil
from pathlib import Path
from typing import Final

from inferencegraph.retraining.page import page
from predictors.errors import ConfigurationError
from transformers_hem.retraining.outcome import Outcome
from transformers_hem.versions.disk import writable, write_whole
from transformers_hem.versions.folder import Versions

REPORTS: Final = "reports"
PAGE: Final = "report.html"
FACTS: Final = "outcome.json"
KEPT: Final = 50


def write_report(folder: Path, outcome: Outcome, copy: Path | None) -> Path:
    """The page's path. Raises ConfigurationError."""
    content = page(outcome, Versions(folder)).encode()
    place = _new(folder / REPORTS, outcome.at)
    try:
        write_whole(place / PAGE, content)
        write_whole(place / FACTS, json.dumps(outcome.as_json(), indent=2).encode() + b"\n")
    except ConfigurationError:
        shutil.rmtree(place, ignore_errors=True)
        raise
    if copy is not None:
        write_whole(copy, content)
    _delete_oldest(folder / REPORTS)
    return place / PAGE


def _new(reports: Path, at: str) -> Path:
    name = at.replace(":", "").replace("-", "").partition("+")[0]
    place, number = reports / name, 1
    with writable(reports):
        while place.exists():
            number += 1
            place = reports / f"{name}-{number}"
        place.mkdir(parents=True)
    return place


def _delete_oldest(reports: Path) -> None:
    for place in _all(reports)[:-KEPT]:
        shutil.rmtree(place, ignore_errors=True)


def _all(reports: Path) -> list[Path]:
    return sorted(path for path in reports.glob("*") if path.is_dir())
