"""Imports of small files of our own, in the layouts that others publish."""

from pathlib import Path
from typing import Any

import orjson

from inferencegraph.evaluate.importing.report import Report
from inferencegraph.evaluate.importing.rows import Pair
from inferencegraph.evaluate.importing.run import Job, import_rows
from tests.conftest import ROOT

SAMPLES = ROOT / "tests" / "data" / "imports"
SMALL_AND_BIG = Pair("small", "big")


def imported(
    tmp_path: Path, format: str, *files: Path | str, pair: Pair | None = None, **settings: Any
) -> tuple[list[dict[str, Any]], Report]:
    """The rows of an import of samples, or of other files, and what it said of them."""
    out = tmp_path / "rows.jsonl"
    paths = [SAMPLES / file for file in files]
    report = import_rows(Job(format, paths, out, pair=pair or Pair(), force=True, **settings))
    return [orjson.loads(line) for line in out.read_bytes().splitlines()], report
