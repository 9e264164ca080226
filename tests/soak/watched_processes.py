"""Memory and file descriptors of processes, sampled while they work."""

import asyncio
import time
from dataclasses import dataclass
from statistics import median

import psutil

SAMPLE_SECONDS = 1.0
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    seconds: float
    resident_mib: float
    descriptors: int


@dataclass(frozen=True, slots=True)
class Growth:
    """From the first to the last fifth of the samples taken after the warm-up (medians)."""

    resident_mib: float
    grown_mib: float
    descriptors: int
    most_descriptors: int


class WatchedProcesses:
    """Names -> processes; sampled by `run` until cancelled. A process that ends is let go."""

    def __init__(self, processes: dict[str, int]) -> None:
        self._processes = {name: psutil.Process(pid) for name, pid in processes.items()}
        self._samples: dict[str, list[Sample]] = {name: [] for name in processes}
        self._began = time.monotonic()

    async def run(self) -> None:
        while True:
            for name, process in self._processes.items():
                try:
                    resident = process.memory_info().rss / MIB
                    sample = Sample(self._elapsed(), resident, process.num_fds())
                except psutil.NoSuchProcess:
                    continue
                self._samples[name].append(sample)
            await asyncio.sleep(SAMPLE_SECONDS)

    def growth(self, name: str, warm_up_seconds: float) -> Growth:
        samples = [item for item in self._samples[name] if item.seconds >= warm_up_seconds]
        fifth = max(1, len(samples) // 5)
        first, last = samples[:fifth], samples[-fifth:]
        resident = [median(item.resident_mib for item in part) for part in (first, last)]
        return Growth(
            resident_mib=round(resident[1], 1),
            grown_mib=round(resident[1] - resident[0], 1),
            descriptors=round(median(item.descriptors for item in first)),
            most_descriptors=max(item.descriptors for item in samples),
        )

    def _elapsed(self) -> float:
        return time.monotonic() - self._began
