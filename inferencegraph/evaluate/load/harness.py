"""What the harness itself takes, and how late it is: figures are a server's only where this is
little."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, process_time
from typing import Any, Final

import numpy as np
import psutil

from inferencegraph.evaluate.load.record import Record
from inferencegraph.evaluate.load.statistics import Values

TICK_SECONDS: Final = 0.05
# Above these the harness is the bottleneck, or may be.
CPU_SHARE: Final = 0.9  # of one core: it has one thread that counts
LATE_SECONDS: Final = 0.002
LATE_SHARE: Final = 0.1  # of the latency's median


@dataclass(slots=True)
class HarnessUse:
    """Of one block, or of several: seconds of processor time and of wall time, how late each look
    at the event loop was, in seconds, and the share of all processors of this machine that
    anybody used."""

    cpu_seconds: float
    wall_seconds: float
    loop_lags: Values
    machine_busy: float = 0.0

    @property
    def cpu_share(self) -> float:
        return self.cpu_seconds / self.wall_seconds if self.wall_seconds else 0.0


@contextmanager
def watched() -> Iterator[HarnessUse]:
    """Around a block: its use is complete behind it."""
    use = HarnessUse(process_time(), perf_counter(), np.empty(0))
    before = psutil.cpu_times()
    lags: list[float] = []
    ticking = asyncio.create_task(_tick(lags))
    try:
        yield use
    finally:
        ticking.cancel()
        use.cpu_seconds = process_time() - use.cpu_seconds
        use.wall_seconds = perf_counter() - use.wall_seconds
        use.loop_lags = np.array(lags)
        use.machine_busy = _busy(before, psutil.cpu_times())


async def _tick(lags: list[float]) -> None:
    while True:
        due = perf_counter() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        lags.append(max(0.0, perf_counter() - due))


def _busy(before: Any, after: Any) -> float:
    """Of psutil's cpu_times; 0 for less than its clock can tell."""
    idle = after.idle - before.idle + getattr(after, "iowait", 0) - getattr(before, "iowait", 0)
    total = sum(after[:8]) - sum(before[:8])  # guests' times are among users'
    return 1 - idle / total if total > 0 else 0.0


def together(uses: Sequence[HarnessUse]) -> HarnessUse:
    return HarnessUse(
        sum(use.cpu_seconds for use in uses),
        sum(use.wall_seconds for use in uses),
        np.concatenate([use.loop_lags for use in uses]) if uses else np.empty(0),
        max((use.machine_busy for use in uses), default=0.0),
    )


def send_lags(records: Sequence[Record]) -> Values:
    """Seconds from when a request of an open loop was to leave until the harness turned to it."""
    return np.array([record.begun - record.intended for record in records])


def bottleneck(use: HarnessUse, late: float | None, latency: float | None) -> str | None:
    """Why the harness, and not the server, may be what was measured; None where it was not. `late`
    is the 99th percentile of how late it was, `latency` the median, both in seconds."""
    busy = f" (this machine's processors were {use.machine_busy:.0%} busy)"
    if use.cpu_share >= CPU_SHARE:
        return f"it used {use.cpu_share:.0%} of a core"
    if late is not None and late > max(LATE_SECONDS, LATE_SHARE * (latency or 0.0)):
        return f"it was up to {1000 * late:.1f} ms late (p99){busy}"
    return None
