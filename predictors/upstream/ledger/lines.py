"""The format of a ledger: JSON Lines, each with its number and the hash of the line before.

The hash of a line is SHA-256 of its bytes as they are in the file, without the line feed, so that
no reader has to write JSON the way that the writer did.
"""

import functools
import hashlib
import re
import time
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NamedTuple

import orjson

from predictors.errors import ConfigurationError
from predictors.upstream.ledger.signing import Signer

VERSION: Final = 1
FIRST_BEFORE: Final = "0" * 64  # what the first line has in place of a hash
MAX_LINE_BYTES: Final = 2**20  # a longer one is none of a ledger's
SHOWN_DIGITS: Final = 12  # of a hash that is told in short: 48 bits
_HEAD: Final = re.compile(rf"(\d{{1,18}}):([0-9a-f]{{{SHOWN_DIGITS},64}})")


class Kind(StrEnum):
    """What a line tells. OPEN is the first of a segment and of a process, SEAL the last of a
    segment; CUT tells of an unfinished line that was cut off when the ledger was opened; SIGN, and
    SEAL where there is a key, have a signature of all before them."""

    OPEN = "open"
    CUT = "cut"
    INTENT = "intent"
    OUTCOME = "outcome"
    SEAL = "seal"
    SIGN = "sign"


SIGNED: Final = (Kind.SEAL, Kind.SIGN)


class Head(NamedTuple):
    """The last line of a chain: its number from 0, and its hash, or the hash's first digits."""

    number: int
    digest: str

    def __str__(self) -> str:
        return f"{self.number}:{self.digest}"

    @property
    def following(self) -> "Head":
        return Head(self.number + 1, self.digest)


BEGINNING: Final = Head(-1, FIRST_BEFORE)


def parse_head(text: str, option: str) -> Head:
    """Raises ConfigurationError for what is not NUMBER:HASH."""
    found = _HEAD.fullmatch(text.strip().lower())
    if not found:
        raise ConfigurationError(
            f"{option} {text!r:.100} must be NUMBER:HASH, as the log tells it, with at least "
            f"{SHOWN_DIGITS} digits of the hash"
        )
    return Head(int(found[1]), found[2])


def written(head: Head, kind: Kind, fields: dict[str, Any], signer: Signer | None = None) -> bytes:
    """The line that follows `head`, with its line feed."""
    line = {"n": head.number + 1, "prev": head.digest, "at": _now(), "kind": kind.value}
    if signer is not None and kind in SIGNED:
        line.update(signer.signed(line))
    line.update(fields)
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)


def _now() -> str:
    """UTC, in milliseconds."""
    second, part = divmod(time.time(), 1)
    return f"{_second(second)}.{int(part * 1000):03}Z"


@functools.lru_cache(maxsize=2)
def _second(second: float) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def digest_of(line: bytes) -> str:
    return hashlib.sha256(line[:-1] if line.endswith(b"\n") else line).hexdigest()


def parse_line(line: bytes) -> dict[str, Any] | None:
    """The object of a line; None where it is none of a ledger's."""
    try:
        row = orjson.loads(line)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(row, dict) or type(row.get("n")) is not int:
        return None
    texts = (row.get("prev"), row.get("at"), row.get("kind"))
    return row if all(isinstance(text, str) for text in texts) else None
