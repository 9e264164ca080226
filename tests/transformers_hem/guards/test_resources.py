"""ResourceSensitiveRouter: real readings, in a thread of its own."""

import logging
import queue

import pytest

from tests.waiting import eventually
from transformers_hem.algorithms.base import Batch
from transformers_hem.guards.resources import (
    Reading,
    ResourceParameters,
    ResourceSensitiveRouter,
    read_machine,
    shortages,
)

BATCH = Batch(1, texts=("x",))
ENOUGH = Reading(cpu=10, memory=20, temperature=30, battery=90)


class ScriptedMachine:
    """Gives the readings that the test puts; waits for the next one."""

    def __init__(self, first: Reading) -> None:
        self.readings: queue.Queue[Reading | OSError] = queue.Queue()
        self.readings.put(first)
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> Reading:
        self.seconds.append(seconds)
        reading = self.readings.get()
        if isinstance(reading, OSError):
            raise reading
        return reading


@pytest.mark.parametrize(
    ("reading", "short"),
    [
        (ENOUGH, ()),
        (Reading(cpu=85, memory=85, temperature=75, battery=20), ()),
        (Reading(cpu=85.1, memory=20), ("cpu",)),
        (Reading(cpu=10, memory=86), ("memory",)),
        (Reading(temperature=75.5), ("temperature",)),
        (Reading(battery=19), ("battery",)),
        (Reading(cpu=99, memory=99, temperature=99, battery=1), (*Reading.__dataclass_fields__,)),
        (Reading(), ()),
    ],
)
def test_the_edge_is_short_beyond_a_threshold(reading: Reading, short: tuple[str, ...]) -> None:
    assert shortages(reading, ResourceParameters()) == short


def test_thresholds_are_parameters() -> None:
    limits = ResourceParameters.model_validate({"cpu_threshold": "5", "battery_threshold": "95"})
    assert shortages(ENOUGH, limits) == ("cpu", "battery")


def test_a_request_sees_the_last_reading_and_never_waits_for_the_next() -> None:
    machine = ScriptedMachine(ENOUGH)
    guard = ResourceSensitiveRouter(ResourceParameters(), machine)
    assert guard.route(BATCH) is None
    machine.readings.put(Reading(cpu=99))
    eventually(lambda: guard.route(BATCH) == "cloud")
    machine.readings.put(ENOUGH)
    eventually(lambda: guard.route(BATCH) is None)
    assert machine.seconds[1:] == [1.0] * 3


def test_what_the_machine_lacks_is_ignored_and_said_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "kserve.hem"):
        machine = ScriptedMachine(Reading(cpu=1, memory=2))
        guard = ResourceSensitiveRouter(ResourceParameters(), machine)
        machine.readings.put(Reading(cpu=2, memory=3))
        eventually(lambda: len(machine.seconds) == 3)
    assert guard.route(BATCH) is None
    assert caplog.text.count("no reading of temperature, battery here") == 1


def test_a_machine_that_cannot_be_read_is_not_short_and_is_read_again() -> None:
    machine = ScriptedMachine(Reading(cpu=99))
    guard = ResourceSensitiveRouter(ResourceParameters(), machine)
    machine.readings.put(OSError("no /proc"))
    eventually(lambda: guard.route(BATCH) is None)
    machine.readings.put(Reading(cpu=99))
    eventually(lambda: guard.route(BATCH) == "cloud")


def test_this_machine_is_read() -> None:
    reading = read_machine(0.05)
    assert reading.cpu is not None and 0 <= reading.cpu <= 100
    assert reading.memory is not None and 0 < reading.memory <= 100
    assert reading.battery is None or 0 <= reading.battery <= 100


def test_this_machines_memory_is_short_when_none_of_it_may_be_used() -> None:
    limits = ResourceParameters.model_validate({"memory_threshold": "0"})
    assert ResourceSensitiveRouter(limits).route(BATCH) == "cloud"
