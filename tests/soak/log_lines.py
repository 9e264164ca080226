"""The lines that services log, read as they come, and those among them that tell of a fault."""

import json
import re
from collections.abc import Iterable
from threading import Thread
from typing import IO

FAULT = re.compile(
    r"\b(ERROR|CRITICAL|WARNING|Traceback|Exception|Segmentation|never retrieved|never awaited)\b"
)
# What an outage brings about: the uplink and its circuit breaker tell of it.
EXPECTED = {
    "qa-uplink": re.compile(r"circuit breaker|Upstream(Error|Unavailable|Timeout): "),
}


def faults(name: str, lines: Iterable[str]) -> list[str]:
    expected = EXPECTED.get(name)
    return [
        f"[{name}] {line[:300]}"
        for line in lines
        if FAULT.search(line) and not (expected and expected.search(line))
    ]


class LogReader:
    """Reads the events of `hem up --json --logs` so that nobody waits for a full pipe."""

    def __init__(self, events: IO[str]) -> None:
        self.lines = 0
        self.faults: list[str] = []
        self.deaths: list[str] = []
        self._thread = Thread(target=self._read, args=(events,), daemon=True)
        self._thread.start()

    def _read(self, events: IO[str]) -> None:
        for line in events:
            event = json.loads(line)
            if event["event"] == "line":
                self.lines += 1
                self.faults += faults(event["name"], [event["text"]])
            elif event["event"] == "died":
                self.deaths.append(event["name"])

    def close(self) -> None:
        """Returns at the end of the events: when `hem up` has ended."""
        self._thread.join(10)
