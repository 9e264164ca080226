"""A small file system that is full when it is told to be."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

BYTES: Final = 1 << 20
_FILLING: Final = "filling"


class FullDisk:
    """`why_not` says why there is none here; empty where `folder` is one."""

    def __init__(self, folder: Path, why_not: str) -> None:
        self.folder, self.why_not = folder, why_not

    def fill(self) -> None:
        with contextlib.suppress(OSError), (self.folder / _FILLING).open("wb", buffering=0) as out:
            while True:
                out.write(bytes(4096))

    def free(self) -> None:
        (self.folder / _FILLING).unlink(missing_ok=True)


@contextlib.contextmanager
def full_disk(folder: Path) -> Iterator[FullDisk]:
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "hem-soak", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
        why_not = mounted.stderr.strip() if mounted.returncode else ""
    except OSError as error:
        why_not = os.strerror(error.errno or 0)
    try:
        yield FullDisk(folder, f"no file system of its own: {why_not}" if why_not else "")
    finally:
        if not why_not:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
