"""Processes under the memory limits of their manifests: a memory cgroup each, as in a pod.

python -m tests.soak.memory_limits GROUP MODULE [ARGUMENT]...: runs the module inside the group
"""

import contextlib
import os
import runpy
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path("/sys/fs/cgroup")
_SUFFIXES: Final = {"Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30}
# Of cgroups' version 1 and version 2: where they are, and which file has the limit.
_VERSIONS: Final = ((_ROOT / "memory", "memory.limit_in_bytes"), (_ROOT, "memory.max"))


@dataclass
class MemoryLimit:
    """Of one container, in bytes. Without a cgroup (`folder` is None) nobody is killed, and what
    was `seen` says whether it holds. `seen` is the process's highest resident set; a cgroup does
    not charge the pages that others have read before, so it may be a little above the limit."""

    limit: int
    folder: Path | None = None
    seen: int = 0

    def look(self, pid: int) -> None:
        with contextlib.suppress(OSError, IndexError):
            status = Path(f"/proc/{pid}/status").read_text()
            self.seen = max(self.seen, 1024 * int(status.split("VmHWM:")[1].split()[0]))

    @property
    def holds(self) -> bool:
        return self.kills() == 0 and (self.folder is not None or self.seen <= self.limit)

    def kills(self) -> int:
        """How often the kernel killed for want of memory."""
        if self.folder is None:
            return 0
        for name in ("memory.oom_control", "memory.events"):
            with contextlib.suppress(OSError):
                lines = (self.folder / name).read_text().splitlines()
                return next(int(li.split()[1]) for li in lines if li.startswith("oom_kill "))
        return 0


def container_limit(container: dict[str, Any]) -> int:
    text = str(container["resources"]["limits"]["memory"])
    return int(text[:-2]) * _SUFFIXES[text[-2:]]


def why_no_cgroup() -> str:
    """Empty where this process may make memory cgroups."""
    try:
        with memory_limit("hem-soak-probe", 1 << 26) as limit:
            return "" if limit.folder else "no memory cgroup can be made here"
    except OSError as error:
        return str(error)


@contextlib.contextmanager
def memory_limit(name: str, limit: int) -> Iterator[MemoryLimit]:
    folder = _made(f"{name}-{os.getpid()}", limit)
    try:
        yield MemoryLimit(limit, folder)
    finally:
        if folder is not None:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _made(name: str, limit: int) -> Path | None:
    for parent, limited in _VERSIONS:
        folder = parent / name
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / limited).write_text(str(limit))
        except OSError:
            folder.rmdir()
            continue
        return folder
    return None


if __name__ == "__main__":
    group, module, *arguments = sys.argv[1:]
    (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
