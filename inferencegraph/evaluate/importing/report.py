"""What an import leaves out, and what it takes with a reservation: counted, and the first of each
kind named by file and line."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from predictors.errors import ConfigurationError

SHOWN: Final = 3  # places that are named of each kind


class LeftOut(Exception):
    """A record can't become a row. `kind` is counted; `detail` says more of this one."""

    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail


class Place(NamedTuple):
    """Where a record begins: the number of a line, or of a row of a JSON array or of a table."""

    path: Path
    number: int
    unit: str = "line"

    def __str__(self) -> str:
        return f"{self.path}, {self.unit} {self.number}"


class Report:
    """`strict`: the first record that would be left out ends the import. `shown`: how texts of the
    files are told. `redacted`: how many private items of each kind were; None: nobody looked."""

    def __init__(
        self,
        strict: bool = False,
        shown: Callable[[str], str] = str,
        redacted: Mapping[str, int] | None = None,
    ) -> None:
        self.read = 0
        self.written = 0
        self.left_out: Counter[str] = Counter()
        self.noted: Counter[str] = Counter()
        self.redacted = redacted
        self._strict = strict
        self._shown = shown
        self._first: defaultdict[str, list[str]] = defaultdict(list)

    def leave_out(self, place: Place, fault: LeftOut) -> None:
        """Raises ConfigurationError where the import is strict."""
        if self._strict:
            raise ConfigurationError(f"{place}: {fault.kind}{self._behind(fault.detail)}")
        self.left_out[fault.kind] += 1
        self._name(place, fault.kind, fault.detail)

    def note(self, place: Place, kind: str, detail: str = "") -> None:
        """Of a record that becomes a row nevertheless."""
        self.noted[kind] += 1
        self._name(place, kind, detail)

    def first(self, kind: str) -> list[str]:
        """The first places of a kind."""
        return self._first[kind]

    def lines(self) -> list[str]:
        """For people: a line for each kind."""
        kinds = [(n, f"left out, {kind}", kind) for kind, n in self.left_out.most_common()]
        kinds += [(n, kind, kind) for kind, n in self.noted.most_common()]
        lines = [f"{n} {told}: {'; '.join(self._first[kind])}" for n, told, kind in kinds]
        if self.redacted is not None:
            found = ", ".join(f"{n} {kind}" for kind, n in sorted(self.redacted.items()))
            lines.append(f"redacted: {found or 'nothing private was found'}")
        return lines

    def facts(self) -> dict[str, Any]:
        """For a program."""
        return {
            "read": self.read,
            "rows": self.written,
            "left_out": dict(self.left_out),
            "noted": dict(self.noted),
            **({} if self.redacted is None else {"redacted": dict(self.redacted)}),
            "first": {kind: places for kind, places in self._first.items() if places},
        }

    def _name(self, place: Place, kind: str, detail: str) -> None:
        places = self._first[kind]
        if len(places) < SHOWN:
            places.append(f"{place}{self._behind(detail)}")

    def _behind(self, detail: str) -> str:
        """In one line, as it may be a text of the file."""
        return f": {' '.join(self._shown(detail).split()):.200}" if detail else ""
