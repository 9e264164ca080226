"""The lines that services log, read as they come, and those among them that tell of a fault."""

import json
import re
from collections.abc import Iterable
from threading import Thread
from typing import IO, Final

from tests.soak.bad_callers import FORGED

# Never the right answer to a bad input or an outage; and what a caller wrote as a line of its own.
FAULT: Final = re.compile(
    rf"Traceback|Segmentation|CRITICAL|never retrieved|never awaited|^(\x1b\[\d*m|\W)*{FORGED}"
)


def faults(name: str, lines: Iterable[str]) -> list[str]:
    return [f"[{name}] {line[:300]}" for line in lines if FAULT.search(line)]


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
