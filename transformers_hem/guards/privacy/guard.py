"""Keeps requests at the edge that hold something private, or that can't be looked through; or lets
them leave with placeholders."""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from weakref import WeakKeyDictionary

from prometheus_client import Counter

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Leaving, Route
from transformers_hem.guards.base import Guard, Redacted
from transformers_hem.guards.placeholders import Placeholders
from transformers_hem.guards.privacy.base import PrivacyParameters, TookTooLong
from transformers_hem.guards.privacy.detectors import Detectors
from transformers_hem.guards.privacy.leaving import read
from transformers_hem.guards.privacy.redacting import Seen, redacted

logger = logging.getLogger("kserve.hem")

_PRIVATE = Counter(
    "hem_private_total",
    "Requests that the guard of privacy kept at the edge, by what it found: a kind, before, "
    "unreadable, too_long, timeout or error.",
    ["found"],
)
BEFORE: Final = "before"
UNREADABLE: Final = "unreadable"
TOO_LONG: Final = "too_long"
TIMEOUT: Final = "timeout"
ERROR: Final = "error"


@dataclass(frozen=True, slots=True)
class _Looked:
    """`found`: kinds, in the order in which they stand; the text itself goes nowhere."""

    found: tuple[str, ...] = ()
    redacted: Redacted | None = None

    @property
    def stays(self) -> bool:
        return bool(self.found) and self.redacted is None


class PrivacyGuard(Guard):
    """Looks at all of a request once, however often it is asked. A conversation that was private
    before stays so. What fails, takes too long, is no text, or can't be redacted where that is the
    action, counts as private."""

    privacy: ClassVar[bool] = True
    Parameters: ClassVar[type[AlgorithmParameters]] = PrivacyParameters

    def __init__(self, parameters: PrivacyParameters) -> None:
        self._redacts = parameters.action == "redact"
        self._seconds = parameters.seconds
        self._longest = parameters.longest
        self._detectors = Detectors(parameters)
        for found in (BEFORE, UNREADABLE, TOO_LONG, TIMEOUT, ERROR):
            _PRIVATE.labels(found)  # a series that is not there yet has no rate
        self._known: WeakKeyDictionary[Leaving, _Looked] = WeakKeyDictionary()

    def route(self, batch: Batch) -> Route | None:
        looked = self._looked_at(batch.leaving or Leaving(batch.texts))
        return "edge" if looked.stays else None

    def redacted(self, leaving: Leaving) -> Redacted | None:
        return self._looked_at(leaving).redacted

    def _looked_at(self, leaving: Leaving) -> _Looked:
        looked = self._known.get(leaving)
        if looked is None:
            looked = self._known[leaving] = self._looked(leaving)
            if looked.found:
                _tell(looked)
        return looked

    def _looked(self, leaving: Leaving) -> _Looked:
        if leaving.private:
            return _Looked((BEFORE,))
        by = time.perf_counter() + self._seconds
        try:
            content = read(leaving.content)
            if content.unreadable:
                return _Looked((UNREADABLE,))
            if len(content.text) > self._longest:
                return _Looked((TOO_LONG,))
            found = self._detectors.find(content.text, by)
            kinds = tuple(dict.fromkeys(each.kind for each in found))
            if not found or not self._redacts or leaving.body is None:
                return _Looked(kinds)
            seen = Seen(leaving.content, content.text, found, by)
            return _Looked(kinds, self._redacted(leaving, leaving.body, seen))
        except TookTooLong:
            return _Looked((TIMEOUT,))
        except Exception as error:  # its message may have the text
            logger.error("privacy: %s while a request was looked at", type(error).__name__)
            return _Looked((ERROR,))

    def _redacted(self, leaving: Leaving, body: Mapping[str, Any], seen: Seen) -> Redacted | None:
        before = self._known.get(leaving.before) if leaving.before else None
        redacted_before = before.redacted if before else None
        placeholders = redacted_before.placeholders if redacted_before else Placeholders()
        leaves = redacted(self._detectors, seen, body, placeholders)
        return None if leaves is None else Redacted(leaves, placeholders)


def _tell(looked: _Looked) -> None:
    kinds = ", ".join(looked.found)
    if not looked.stays:
        return logger.info("privacy: a request may leave with placeholders for: %s", kinds)
    for kind in looked.found:
        _PRIVATE.labels(kind).inc()
    logger.info("privacy: a request stays at the edge: %s", kinds)
