"""What tells that a file, or a folder, is another one than before, without reading it."""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

# None where there is nothing; (inode, time of change in ns, bytes) of each file of a folder.
Stamp = tuple[tuple[str, int, int, int], ...] | None
Stamps = Mapping[Path, Stamp]

MOST_FILES: Final = 1000  # of a folder that are looked at
DIGITS: Final = 12  # of a hash that is shown


def stamp(path: Path) -> Stamp:
    """Of what a link leads to: a ConfigMap's file leads to another folder after each change."""
    try:
        if path.is_dir():
            return tuple(_one(file, str(file.relative_to(path))) for file in _files(path))
        return (_one(path, ""),)
    except OSError:
        return None


def stamps(paths: Iterable[Path]) -> Stamps:
    return {path: stamp(path) for path in paths}


def digest(path: Path) -> str | None:
    """The first digits of the sha256 of a file, or of the files of a folder, for people; None where
    it can't be read."""
    try:
        if not path.is_dir():
            return hashlib.sha256(path.read_bytes()).hexdigest()[:DIGITS]
        whole = hashlib.sha256()
        for file in _files(path):
            whole.update(f"{file.relative_to(path)}\0".encode())
            whole.update(hashlib.sha256(file.read_bytes()).digest())
        return whole.hexdigest()[:DIGITS]
    except OSError:
        return None


def _files(folder: Path) -> list[Path]:
    """Without hidden ones: a Secret's folder has ..data beside the links into it."""
    found: list[Path] = []
    for here, folders, names in os.walk(folder, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        found += [Path(here, name) for name in sorted(names) if not name.startswith(".")]
        if len(found) > MOST_FILES:
            break
    return found[:MOST_FILES]


def _one(path: Path, name: str) -> tuple[str, int, int, int]:
    status = os.stat(path)
    return name, status.st_ino, status.st_mtime_ns, status.st_size
