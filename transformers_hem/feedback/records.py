"""What a store keeps, as frozen values. Times are of time.time(), qualities in [0, 1]."""

import hashlib
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, Final, Literal

from transformers_hem.algorithms.base import Route

Preferred = Literal["edge", "cloud", "tie"]
# Who says it: a caller; HEM itself, of what happened; or a scorer that has seen both sides.
Source = Literal["user", "signal", "shadow"]

REQUEST_ID_LENGTH: Final = 128
KEY_BYTES: Final = 16
NAME_LENGTH: Final = 128  # of algorithms, models, and so on
CHAT: Final = "chat"  # ways
V2: Final = "v2"
YEAR_9999: Final = 253_402_300_800.0  # a time is before it


@dataclass(frozen=True, slots=True)
class Decided:
    """One request that was decided, as far as the store may know it.

    `key` is its own, whoever else has the request's id, and `origin` the server that made it.
    `client` is who asked, as a short hash, empty where nobody knows. `route` was decided, `served`
    answered (None where that is not seen here, as of a V2 request). `version` is a hash of the
    router's files. `propensity` is the probability that this side's answer was the one seen, given
    the query, and `shadow_share` that of having both sides scored: 0 where that can't be.
    `query_hash` is equal for texts that differ in case and blanks alone. `query` is there only
    where texts may be kept; `features` is what a LinearRouter sees of it, see `features`.
    """

    key: str
    origin: str
    request_id: str
    at: float
    way: str
    client: str
    rows: int
    route: Route
    served: Route | None
    model: str
    status: int
    degraded: str
    score: float | None
    threshold: float
    reason: str
    algorithm: str
    router: str
    version: str
    propensity: float = 1.0
    shadow_share: float = 0.0
    query_hash: str = ""
    query: str | None = None
    features: bytes | None = None


@dataclass(frozen=True, slots=True)
class Feedback:
    """What one source says of the answer to one request.

    `key` makes it one however often it is sent. `at` is the clock of the server that took it first,
    `said_at` what the client's clock said. `thumb_up`, `rating` and `correct` are of the side that
    was served; `preferred` of both. `corrected`: the caller gave the right answer, so that the
    served one was wrong; `answer` is that text, where texts may be kept. `edge_score` and
    `cloud_score` are of a `scorer` that has seen both. `signal` names what happened.
    """

    key: str
    origin: str
    request_id: str
    at: float
    client: str
    source: Source = "user"
    said_at: float | None = None
    thumb_up: bool | None = None
    rating: float | None = None
    correct: bool | None = None
    preferred: Preferred | None = None
    corrected: bool = False
    answer: str | None = None
    signal: str = ""
    scorer: str = ""
    edge_score: float | None = None
    cloud_score: float | None = None

    @property
    def digest(self) -> str:
        """Of what it says: two with one key have to say the same."""
        return hashlib.blake2b(repr(_SAID(self)).encode(), digest_size=8).hexdigest()


# Of a Feedback, what its sender says; the rest is about how it came.
SAID: Final = (
    *("request_id", "source", "thumb_up", "rating", "correct", "preferred", "corrected"),
    *("signal", "scorer", "edge_score", "cloud_score"),
)


_SAID: Final = attrgetter(*SAID)
_NAMES: Final = {kind: [each.name for each in fields(kind)] for kind in (Decided, Feedback)}
_VALUES: Final = {kind: attrgetter(*names) for kind, names in _NAMES.items()}


def names_of(kind: type[Decided] | type[Feedback]) -> list[str]:
    """The columns' names."""
    return _NAMES[kind]


def as_values(record: Decided | Feedback) -> tuple[Any, ...]:
    """In the order of the columns' names."""
    values: tuple[Any, ...] = _VALUES[type(record)](record)
    return values


def as_row(record: Decided | Feedback) -> dict[str, Any]:
    """By the columns' names."""
    return dict(zip(names_of(type(record)), as_values(record), strict=True))


def key_of(client: str, given: str) -> str:
    """The store's key for one that a client gave: another client's is another."""
    return hashlib.blake2b(f"{client}\0{given}".encode(), digest_size=KEY_BYTES).hexdigest()
