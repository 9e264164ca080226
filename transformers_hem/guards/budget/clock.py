"""Time that goes on with this machine, and with nothing that somebody sets.

While the machine runs, its time since boot counts, also while it sleeps and over restarts of a
process. Only over a reboot, and where a machine can't tell its boots, the wall clock has a say, and
never to go back.
"""

import time
import uuid
from pathlib import Path
from typing import Final, NamedTuple

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_SINCE_BOOT: Final = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_THIS_PROCESS: Final = uuid.uuid4().hex


class Anchor(NamedTuple):
    """In the boot `boot` it was `time` (of the epoch), `since` seconds after it began."""

    boot: str
    since: float
    time: float


class Clock:
    """Of one machine, in the boot that is called `boot`; tests have others."""

    def __init__(self, boot: str) -> None:
        self.boot = boot

    def since_boot(self) -> float:
        return time.clock_gettime(_SINCE_BOOT)

    def wall(self) -> float:
        return time.time()

    def now(self, anchor: Anchor) -> float:
        """Of an anchor of this boot."""
        return anchor.time + self.since_boot() - anchor.since

    def anchored(self, before: Anchor | None, latest: float) -> Anchor:
        """The anchor of this boot: the one of `before` where that is its own. `latest` is a time
        that is over in any case."""
        if before is not None and before.boot == self.boot:
            return before
        past = before.time if before is not None else 0.0
        return Anchor(self.boot, self.since_boot(), max(past, latest, self.wall()))


def machine_clock() -> Clock:
    try:
        return Clock(_BOOT_ID.read_text().strip())
    except OSError:
        return Clock(_THIS_PROCESS)
