"""Keeps requests at the edge that hold something private, or that can't be looked through."""

import logging
from typing import ClassVar, Final
from weakref import WeakKeyDictionary

from prometheus_client import Counter

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Leaving, Route
from transformers_hem.guards.base import Guard
from transformers_hem.guards.privacy.base import PrivacyParameters, TookTooLong
from transformers_hem.guards.privacy.detectors import Detectors
from transformers_hem.guards.privacy.leaving import read

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


class PrivacyGuard(Guard):
    """Looks at all of a request once, however often it is asked. A conversation that was private
    before stays so. What fails, takes too long or is
    no text counts as private."""

    privacy: ClassVar[bool] = True
    Parameters: ClassVar[type[AlgorithmParameters]] = PrivacyParameters

    def __init__(self, parameters: PrivacyParameters) -> None:
        self._seconds = parameters.seconds
        self._longest = parameters.longest
        self._detectors = Detectors(parameters)
        for found in (BEFORE, UNREADABLE, TOO_LONG, TIMEOUT, ERROR):
            _PRIVATE.labels(found)  # a series that is not there yet has no rate
        self._known: WeakKeyDictionary[Leaving, tuple[str, ...]] = WeakKeyDictionary()

    def route(self, batch: Batch) -> Route | None:
        leaving = batch.leaving or Leaving(batch.texts)
        found = self._known.get(leaving)
        if found is None:
            found = self._known[leaving] = self._looked(leaving)
            if found:
                _tell(found)
        return "edge" if found else None

    def _looked(self, leaving: Leaving) -> tuple[str, ...]:
        """Kinds, in the order in which they stand; the text itself goes nowhere."""
        if leaving.private:
            return (BEFORE,)
        try:
            content = read(leaving.content)
            if content.unreadable:
                return (UNREADABLE,)
            if len(content.text) > self._longest:
                return (TOO_LONG,)
            found = self._detectors.find(content.text, self._seconds)
        except TookTooLong:
            return (TIMEOUT,)
        except Exception as error:  # its message may have the text
            logger.error("privacy: %s while a request was looked at", type(error).__name__)
            return (ERROR,)
        return tuple(dict.fromkeys(each.kind for each in found))


def _tell(found: tuple[str, ...]) -> None:
    for kind in found:
        _PRIVATE.labels(kind).inc()
    logger.info("privacy: a request stays at the edge: %s", ", ".join(found))
