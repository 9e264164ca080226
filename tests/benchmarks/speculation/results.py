"""Figures of a run: one JSON file for each benchmark, which the pictures are drawn of, and tables
of Markdown on standard output."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from pydantic import BaseModel

from tests.conftest import ROOT

FOLDER: Final = Path(os.environ.get("HEM_BENCH_OUT", ROOT / "results" / "speculation"))


def keep(name: str, figures: Any) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    text = orjson.dumps(figures, default=_plain, option=options)
    (FOLDER / f"{name}.json").write_bytes(text)


def kept(name: str, folder: Path = FOLDER) -> Any:
    return orjson.loads((folder / f"{name}.json").read_bytes())


def _plain(value: Any) -> Any:
    return value.model_dump() if isinstance(value, BaseModel) else list(value)


def table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    print()
    for row in (heads, ["---"] * len(heads), *rows):
        print("| " + " | ".join(map(_shown, row)) + " |", flush=True)


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
