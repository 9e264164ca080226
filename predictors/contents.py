"""What lies at a path, in short: enough to tell two versions of a model apart."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

DIGEST_BYTES: Final = 16
# Two versions of a model differ in practically every weight, so both ends of a file will do.
END_BYTES: Final = 64 * 1024
PLACE_BYTES: Final = 4 * 1024


def contents(
    path: Path, *, between: int = 0, kinds: tuple[str, ...] = ("",)
) -> Iterator[tuple[str, int, str]]:
    """Of a file, or of all files below a folder whose names end with one of `kinds`: name, size,
    and a digest of both ends. `between`: of so many places more, spread evenly, for who has to see
    that some layers alone are others. Raises OSError."""
    below = (each for each in path.rglob("*") if each.name.endswith(kinds) and each.is_file())
    files = [path] if path.is_file() else sorted(below)
    for file in files:
        size = file.stat().st_size
        with file.open("rb") as stream:
            digest = hashlib.blake2b(stream.read(END_BYTES), digest_size=DIGEST_BYTES)
            for place in range(between):
                stream.seek(size * (place + 1) // (between + 1))
                digest.update(stream.read(PLACE_BYTES))
            stream.seek(max(0, size - END_BYTES))
            digest.update(stream.read(END_BYTES))
        yield str(file.relative_to(path)), size, digest.hexdigest()
