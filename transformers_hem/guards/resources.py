"""Sends requests to the cloud while the edge is short of resources.

Ianvs's `ResourceSensitiveRouter`, by real readings: of the whole node, in a container too.
"""

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import ClassVar

import psutil
from pydantic import Field

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Route
from transformers_hem.guards.base import Guard

logger = logging.getLogger("kserve.hem")

_FIRST_SECONDS = 0.1
_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the machine measures; None for what it can't.

    `cpu` and `memory` in use, percent; `temperature` of the hottest sensor, degrees Celsius;
    `battery`, percent of charge left, None on mains power.
    """

    cpu: float | None = None
    memory: float | None = None
    temperature: float | None = None
    battery: float | None = None


class ResourceParameters(AlgorithmParameters):
    """The edge is short of resources above the thresholds of `cpu`, `memory` (percent in use) or
    `temperature` (degrees Celsius), or below that of `battery` (percent left, not on mains)."""

    cpu_threshold: float = Field(default=85, ge=0, le=100)
    memory_threshold: float = Field(default=85, ge=0, le=100)
    temperature_threshold: float = 75
    battery_threshold: float = Field(default=20, ge=0, le=100)


class ResourceSensitiveRouter(Guard):
    """Reads once a second, in a thread of its own; a request sees the last reading.

    `read(seconds)` measures for that long. A reading that the machine lacks has no threshold; the
    log names it once.
    """

    Parameters: ClassVar[type[AlgorithmParameters]] = ResourceParameters

    def __init__(
        self, parameters: ResourceParameters, read: Callable[[float], Reading] | None = None
    ) -> None:
        self._parameters = parameters
        self._read = read or read_machine
        self._short: tuple[str, ...] = ()
        self._absent: frozenset[str] = frozenset()
        self._closed = threading.Event()
        self._measure(_FIRST_SECONDS)
        threading.Thread(target=self._watch, name="hem-resources", daemon=True).start()

    def route(self, batch: Batch) -> Route | None:
        return "cloud" if self._short else None

    def _watch(self) -> None:
        while not self._closed.is_set():
            self._measure(_SECONDS)

    def close(self) -> None:
        self._closed.set()

    def _measure(self, seconds: float) -> None:
        try:
            reading = self._read(seconds)
        except (OSError, RuntimeError, psutil.Error) as error:
            logger.warning("resources: %s", error)
            time.sleep(seconds)
            reading = Reading()
        absent = [f.name for f in fields(reading) if getattr(reading, f.name) is None]
        if not self._absent.issuperset(absent):
            logger.info("resources: no reading of %s here, so no threshold", ", ".join(absent))
        self._absent |= set(absent)
        short = shortages(reading, self._parameters)
        if short != self._short:
            logger.info("resources: %s", f"short of {', '.join(short)}" if short else "enough")
        self._short = short


def shortages(reading: Reading, limits: ResourceParameters) -> tuple[str, ...]:
    """Names of the readings that are beyond their thresholds."""
    beyond = {
        "cpu": reading.cpu is not None and reading.cpu > limits.cpu_threshold,
        "memory": reading.memory is not None and reading.memory > limits.memory_threshold,
        "temperature": reading.temperature is not None
        and reading.temperature > limits.temperature_threshold,
        "battery": reading.battery is not None and reading.battery < limits.battery_threshold,
    }
    return tuple(name for name, short in beyond.items() if short)


def read_machine(seconds: float) -> Reading:
    """Takes `seconds`, over which the CPU's use is averaged."""
    cpu = psutil.cpu_percent(interval=seconds)
    return Reading(cpu, psutil.virtual_memory().percent, _temperature(), _battery())


def _temperature() -> float | None:
    """Not every platform has the call, and not every machine a sensor."""
    with contextlib.suppress(AttributeError, OSError):
        sensors = psutil.sensors_temperatures().values()
        return max((sensor.current for each in sensors for sensor in each), default=None)
    return None


def _battery() -> float | None:
    with contextlib.suppress(AttributeError, OSError):
        battery = psutil.sensors_battery()
        if battery is not None and not battery.power_plugged:
            return float(battery.percent)
    return None
