"""Lines of a ledger, for tests."""

import json
from pathlib import Path
from typing import Any

from predictors.upstream.ledger.segments import files


def lines(path: Path, kind: str | None = None) -> list[dict[str, Any]]:
    rows = [json.loads(line) for file in files(path) for line in file.read_bytes().splitlines()]
    return [row for row in rows if kind in (None, row["kind"])]


def outcomes(path: Path) -> dict[int, dict[str, Any]]:
    """By the number of the line of intent."""
    return {row["of"]: row for row in lines(path, "outcome")}
