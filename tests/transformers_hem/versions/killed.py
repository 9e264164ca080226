"""Promotes routers in children that are killed, and checks what is left: one line if all is well.

python -m tests.transformers_hem.versions.killed FOLDER operations
    kills before each operation on a file
python -m tests.transformers_hem.versions.killed FOLDER random KILLS SEED
    kills at random moments
"""

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from tests.transformers_hem.versions.routers import ADDED, router_with
from transformers_hem.routers.directory import locate
from transformers_hem.versions.folder import Versions, require_loads
from transformers_hem.versions.record import require_whole

LONGEST: Final = 0.06  # seconds of a promotion, about
# What a process tells an audit hook before it does it.
OPERATIONS: Final = (
    *("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.truncate"),
    *("os.listdir", "os.scandir", "tempfile.mkdtemp", "tempfile.mkstemp", "shutil.copyfile"),
)


def promote(versions: Versions, router: str) -> None:
    versions.promote(router, ADDED, "", versions.current, keep=3)


def dies_before(operation: int, run: Callable[[], None]) -> bool:
    """Whether it came so far."""
    if (child := os.fork()) == 0:
        left = operation

        def on_event(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal left
            if event in OPERATIONS:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(on_event)
        run()
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def dies_after(seconds: float, run: Callable[[], None]) -> None:
    if (child := os.fork()) == 0:
        while True:
            run()
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def check(versions: Versions, before: int) -> int:
    """The version in force: the one before, or a later one; each number is a whole version. What
    comes next works as if nothing had been."""
    now = versions.current
    assert now is not None and now >= before, (now, before)
    for number in versions.numbers():
        assert require_whole(versions.directory(number)).number == number
    require_loads(locate(str(versions.folder)))
    return now


def main(folder: Path, how: str, kills: int = 0, seed: int = 0) -> None:
    versions = Versions.at(folder / "versions")
    router = router_with(0.3, folder / "router")
    promote(versions, router)
    now, done = 1, 0
    chance = random.Random(seed)
    while True:
        if how == "operations":
            if not dies_before(done, lambda: promote(versions, router)):
                break
        elif done == kills:
            break
        else:
            dies_after(chance.uniform(0, LONGEST * 3), lambda: promote(versions, router))
        now = check(versions, now)
        done += 1
    promote(versions, router)
    left = [path.name for path in versions.folder.iterdir() if path.name.startswith(".new-")]
    assert not left, left
    print(f"{done} kills, {check(versions, now + 1)} versions")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
