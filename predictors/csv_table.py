"""CSV tables: the one reader. Like that of JSON Lines it takes what other programs write."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from predictors.errors import ConfigurationError
from predictors.jsonl import read_content

csv.field_size_limit(16 * 1024 * 1024)  # the library's own is 128 KB, which a document passes


def read_table(path: Path, content: bytes | None = None) -> Iterator[tuple[int, dict[str, str]]]:
    """The line on which each row ends, and its texts by the columns' names; gzip and a byte order
    mark are taken. Semicolons and tabs separate columns where the head has no comma.

    `content` is the file's, for a caller that has read it already. Raises ConfigurationError naming
    the line of a row with more or fewer columns than the head, and for a file without rows.
    """
    raw = read_content(path) if content is None else content
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}, line {line}: not UTF-8 text") from None
    head = text.partition("\n")[0]
    separator = next((mark for mark in ",;\t" if mark in head), ",")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    names: list[str] | None = None
    rows = 0
    try:
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            if names is None:
                names = _names(path, cells)
                continue
            if len(cells) != len(names):
                raise ConfigurationError(
                    f"{path}, line {reader.line_num}: {len(cells)} columns where the first line "
                    f"has {len(names)}"
                )
            rows += 1
            yield reader.line_num, dict(zip(names, cells, strict=True))
    except csv.Error as error:
        raise ConfigurationError(f"{path}, line {reader.line_num}: not CSV: {error}") from None
    if not rows:
        raise ConfigurationError(f"{path} has no rows")


def _names(path: Path, cells: list[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigurationError(f"{path}, line 1: two columns are called {twice!r}")
    return names
