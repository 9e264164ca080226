"""What happens and says something of an answer: the same client asks the same again (retry), or
nearly the same (re_ask), within two minutes; or the cloud answers what the edge has answered before
it (same_answer).

Held in memory: of the last clients their last question, as hashes of its words.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from transformers_hem.routers.fingerprints import fingerprint

Signal = Literal["retry", "re_ask", "same_answer"]

SECONDS: Final = 120.0
ALIKE: Final = 0.6  # of all words of two questions, those that both have
_MOST_CLIENTS: Final = 4096
_MOST_WORDS: Final = 400


@dataclass(frozen=True, slots=True)
class _Asked:
    request_id: str
    at: float
    query: bytes
    words: frozenset[int]


@dataclass(frozen=True, slots=True)
class Noticed:
    """Of the answer to that request."""

    request_id: str
    signal: Signal


class Signals:
    """Of one process; one thread calls it."""

    def __init__(self) -> None:
        self._last: OrderedDict[str, _Asked] = OrderedDict()

    def asked(self, client: str, request_id: str, at: float, query: str) -> Noticed | None:
        """None where nothing is to be said of the one before, or nobody knows whose it is."""
        if not client:
            return None
        now = _Asked(request_id, at, fingerprint(query), _words(query.split()))
        before = self._last.pop(client, None)
        self._last[client] = now
        if len(self._last) > _MOST_CLIENTS:
            self._last.popitem(last=False)
        if before is None or not 0 <= at - before.at <= SECONDS or before.request_id == request_id:
            return None
        if before.query == now.query:
            return Noticed(before.request_id, "retry")
        if _alike(before.words, now.words):
            return Noticed(before.request_id, "re_ask")
        return None


def same_answer(edge: str, cloud: str) -> bool:
    """Whether an escalation has changed nothing but case and blanks."""
    return bool(edge.strip()) and fingerprint(edge) == fingerprint(cloud)


def _words(words: Sequence[str]) -> frozenset[int]:
    return frozenset(hash(word.casefold()) for word in words[:_MOST_WORDS])


def _alike(one: frozenset[int], other: frozenset[int]) -> bool:
    return len(one & other) >= ALIKE * len(one | other)
