"""Whether a ledger is as it was written: each line follows from the one before.

A chain alone can't show that its last lines are gone, or written anew: for that it is held against
a head that was exported while it was written.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from predictors.errors import ConfigurationError
from predictors.upstream.ledger.lines import (
    BEGINNING,
    MAX_LINE_BYTES,
    Head,
    Kind,
    digest_of,
    parse_line,
)
from predictors.upstream.ledger.segments import files
from predictors.upstream.ledger.signing import SIGNATURE, Checker

_READ_BYTES: Final = 2**20


class Broken(Exception):
    """The first line that is not what it was; its text is for people."""


@dataclass(slots=True)
class Place:
    """A line's file and its number there, from 1."""

    path: Path
    line: int

    def __str__(self) -> str:
        return f"{self.path}, line {self.line}"


@dataclass(slots=True)
class Signed:
    """Which lines have a signature: how many, the numbers of the first and the last one, and the
    last one's time."""

    count: int = 0
    first: int = -1
    last: int = -1
    at: str = ""

    def take(self, row: Mapping[str, Any]) -> None:
        self.first = self.first if self.count else row["n"]
        self.count, self.last, self.at = self.count + 1, row["n"], row["at"]


@dataclass(slots=True)
class Verified:
    """What was read. `first` is the number of the first line, `unfinished` are bytes behind the
    last whole line; `open` are attempts whose outcome is not written."""

    files: int = 0
    lines: int = 0
    first: int = 0
    head: Head = BEGINNING
    signed: Signed = field(default_factory=Signed)
    unfinished: int = 0
    cuts: int = 0
    open: int = 0


def verify(
    path: Path,
    head: Head | None = None,
    after: Head = BEGINNING,
    checker: Checker | None = None,
) -> Verified:
    """With a `checker` all signatures have to hold, and one has to be there. Raises Broken;
    ConfigurationError where there is no ledger, or it can't be read."""
    found = Verified()
    attempts: set[int] = set()
    for row in rows(path, head, after, found):
        if row["kind"] == Kind.INTENT:
            attempts.add(row["n"])
        elif row["kind"] == Kind.OUTCOME and type(row.get("of")) is int:
            attempts.discard(row["of"])
        elif row["kind"] == Kind.CUT:
            found.cuts += 1
        if SIGNATURE in row:
            found.signed.take(row)
            if checker is not None and (fault := checker.fault(row)):
                raise Broken(f"{path}: the line with number {row['n']} {fault}")
    if checker is not None and not found.signed.count:
        raise Broken(f"{path}: no line of it is signed")
    found.open = len(attempts)
    return found


def rows(path: Path, head: Head | None, after: Head, found: Verified) -> Iterator[dict[str, Any]]:
    """The lines behind `after`, as far as they hold; `found` learns of them. Raises as `verify`."""
    found.head, last, seen = after, Place(path, 0), head is None or head == after
    found.first = after.number + 1
    parts = files(path)
    with _opened(parts[-1]) as end:  # first, as it may be renamed while the others are read
        for file in parts:
            found.files += 1
            for number, line in _lines(file, end if file == parts[-1] else None):
                place = Place(file, number)
                if not line.endswith(b"\n"):
                    if file != parts[-1]:
                        raise Broken(f"{place}: is cut off, in a segment that was sealed")
                    found.unfinished = len(line)
                    break
                row = _followed(line, found, place, last)
                found.lines += 1
                found.head, last = Head(row["n"], digest_of(line)), place
                if head is not None and head.number == row["n"]:
                    seen = True
                    if not found.head.digest.startswith(head.digest):
                        raise Broken(f"{place}: was changed: the head that was exported is {head}")
                yield row
    if not seen and head is not None:
        raise Broken(_not_there(path, head, found.head))


def _not_there(path: Path, head: Head, end: Head) -> str:
    if head.number > end.number:
        return f"{path}: its end is cut off: the last line has number {end.number}, the head {head}"
    return f"{path}: the head {head} is not among its lines, which begin behind it"


def _followed(line: bytes, found: Verified, place: Place, last: Place) -> dict[str, Any]:
    """The line's object. Raises Broken, with the line that is at fault."""
    row, before = parse_line(line), found.head
    if row is None:
        raise Broken(f"{place}: not a line of a ledger")
    if row["n"] != before.number + 1:
        moved = "; where the oldest segments were moved away, give --after" if not last.line else ""
        raise Broken(
            f"{place}: has number {row['n']} where {before.number + 1} is due: lines were removed, "
            f"added or moved{moved}"
        )
    if not row["prev"].startswith(before.digest):
        if not found.lines:
            raise Broken(f"{place}: does not follow from {before}")
        raise Broken(f"{last}: was changed, or the line behind it: it has another hash of it")
    return row


def _opened(file: Path) -> IO[bytes]:
    """Raises ConfigurationError."""
    try:
        return file.open("rb", buffering=_READ_BYTES)
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror or error}") from None


def _lines(file: Path, content: IO[bytes] | None) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line, the last perhaps without its line feed; `content` is the
    file's where it is open already. Raises Broken for one that is too long, ConfigurationError."""
    with content or _opened(file) as opened:
        number = 0
        while line := _read(opened, file):
            number += 1
            if len(line) > MAX_LINE_BYTES:
                raise Broken(f"{Place(file, number)}: not a line of a ledger")
            yield number, line


def _read(content: IO[bytes], file: Path) -> bytes:
    try:
        return content.readline(MAX_LINE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{file} can't be read: {error.strerror or error}") from None
