"""Writes JSONL files whole or not at all."""

import gzip
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from predictors.errors import ConfigurationError


def write_lines(out: Path, lines: Iterable[bytes]) -> None:
    """Writes aside, then renames: a reader never sees half a file. A name that ends in .gz is
    compressed. Raises ConfigurationError, and then leaves `out` as it was."""
    content = b"".join(lines)
    try:
        _replace(out, gzip.compress(content, mtime=0) if out.suffix == ".gz" else content)
    except OSError as error:
        raise ConfigurationError(f"{out} can't be written: {error.strerror}") from error


def _replace(out: Path, content: bytes) -> None:
    handle, aside = tempfile.mkstemp(prefix=f".{out.name}-", dir=out.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(aside, 0o644)
        os.rename(aside, out)
    except OSError:
        Path(aside).unlink(missing_ok=True)
        raise
