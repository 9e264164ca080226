"""Energy of this machine's processors, where the kernel tells it (RAPL, Linux's powercap)."""

from pathlib import Path
from typing import Final

_ZONES: Final = Path("/sys/class/powercap")
_MICRO: Final = 1e6


class Meter:
    """Counts from when it is made. `joules` is None where no zone can be read: in containers, and
    where only root may."""

    def __init__(self, zones: Path = _ZONES) -> None:
        packages = sorted(zones.glob("*-rapl:*")) if zones.is_dir() else []
        self._zones = [each for each in packages if each.name.count(":") == 1]
        self._began = self._read()

    def joules(self) -> float | None:
        now = self._read()
        if self._began is None or now is None or not self._zones:
            return None
        total = 0
        for zone, before, after in zip(self._zones, self._began, now, strict=True):
            # The counter begins anew when it is full.
            total += after - before if after >= before else after + _range(zone) - before
        return total / _MICRO

    def _read(self) -> list[int] | None:
        try:
            return [int((zone / "energy_uj").read_text()) for zone in self._zones]
        except (OSError, ValueError):
            return None


def _range(zone: Path) -> int:
    return int((zone / "max_energy_range_uj").read_text())
