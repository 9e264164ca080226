"""Sends everything to one side while a file says so: for who mends the other one."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

import orjson
from prometheus_client import Gauge
from pydantic import Field

from predictors.contract import CLOUD, EDGE
from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Route
from transformers_hem.guards.base import Guard

logger = logging.getLogger("kserve.hem")

SECONDS: Final = 1.0  # between two looks
_MOST_BYTES: Final = 4096
_SIDES: Final[dict[str, Route]] = {EDGE: EDGE, CLOUD: CLOUD}
_ON: Final = Gauge("hem_maintenance", "1 while everything goes to this side.", ["route"])


class MaintenanceParameters(AlgorithmParameters):
    """`file`: while it is there everything goes to the side that it names, `edge` or `cloud`; to
    `route` where it names none. Or it is JSON: {"route": "edge", "until": "2026-11-30T12:00Z"}."""

    file: str = Field(min_length=1)
    route: Route = "edge"


@dataclass(frozen=True, slots=True)
class Switch:
    """Everything goes to `route`, `until` a time of the epoch."""

    route: Route
    until: float | None = None

    def is_on(self, now: float) -> bool:
        return self.until is None or now < self.until


class MaintenanceGuard(Guard):
    """Looks at the file once a second, in a thread of its own; a request sees the last look. Who
    writes the file means it: one that can't be read, or names no side, counts as `route`."""

    Parameters: ClassVar[type[AlgorithmParameters]] = MaintenanceParameters

    def __init__(
        self,
        parameters: MaintenanceParameters,
        seconds: float = SECONDS,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._path = Path(parameters.file)
        self._route: Route = parameters.route
        self._now = now
        self._switch: Switch | None = None
        self._told: tuple[Switch | None, str] = (None, "")
        self._stop = threading.Event()
        self._look()
        _IN_FORCE.append(self)
        threading.Thread(
            target=self._watch, args=(seconds,), name="hem-maintenance", daemon=True
        ).start()

    def route(self, batch: Batch) -> Route | None:
        return self.side()

    def close(self) -> None:
        self._stop.set()
        if self in _IN_FORCE:
            _IN_FORCE.remove(self)

    def side(self) -> Route | None:
        switch = self._switch
        return switch.route if switch is not None and switch.is_on(self._now()) else None

    def _watch(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            self._look()

    def _look(self) -> None:
        wrong = ""
        try:
            with self._path.open("rb") as file:
                switch: Switch | None = read_switch(file.read(_MOST_BYTES), self._route)
        except FileNotFoundError:
            switch = None
        except (OSError, ValueError) as error:
            switch = Switch(self._route)
            wrong = str(getattr(error, "strerror", None) or error)
        self._switch = switch
        if (switch, wrong) != self._told:
            self._tell(switch, wrong)
            self._told = switch, wrong

    def _tell(self, switch: Switch | None, wrong: str) -> None:
        if wrong:
            logger.error("maintenance: %s: %s; it counts as %s", self._path, wrong, self._route)
        elif switch is None:
            logger.warning("maintenance: over, %s is not there", self._path)
        else:
            until = "" if switch.until is None else f" until {_shown(switch.until)}"
            logger.warning("maintenance: all goes to the %s%s", switch.route, until)


def read_switch(content: bytes, default: Route) -> Switch:
    """Raises ValueError that says what is wrong."""
    text = content.decode(errors="replace").strip()
    if not text:
        return Switch(default)
    if not text.startswith("{"):
        return Switch(_side(text))
    value: Any = orjson.loads(text)
    unknown = sorted(value.keys() - {"route", "until", "why"})
    if unknown:
        raise ValueError(f"{unknown[0]!r} is none of route, until and why")
    until = value.get("until")
    return Switch(_side(value.get("route", default)), None if until is None else _time(until))


def _side(value: Any) -> Route:
    if value not in _SIDES:
        raise ValueError(f"must say edge or cloud, not {value!r:.40}")
    return _SIDES[value]


def _time(value: Any) -> float:
    try:
        found = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError(f"until must be a time, as 2026-11-30T12:00Z, not {value!r:.40}") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _shown(until: float) -> str:
    return datetime.fromtimestamp(until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_sent_to(route: Route) -> float:
    return float(bool(_IN_FORCE) and _IN_FORCE[-1].side() == route)


# The newest one that is not closed: while guards are exchanged there are two of them.
_IN_FORCE: Final[list[MaintenanceGuard]] = []
for _route in _SIDES.values():
    _ON.labels(_route).set_function(partial(_is_sent_to, _route))
