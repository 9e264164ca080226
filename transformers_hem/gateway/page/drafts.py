"""Sums over answers that the edge's model drafts and the cloud's checks."""

from typing import Any, Final

from predictors.contract import CLOUD, EDGE
from predictors.contract.answer import is_number
from predictors.contract.names import SPECULATION
from transformers_hem.gateway.finished import Finished

DRAFTED: Final = "speculative"  # the way of an answer whose drafts were checked
_SUMMED: Final = ("draft_rounds", "drafted_tokens", "accepted_tokens", "cloud_passes")


class Drafts:
    """Of chats: what a V2 answer tells is told to the graph."""

    def __init__(self) -> None:
        self._answers = dict.fromkeys((DRAFTED, CLOUD, EDGE), 0)
        self._sums = dict.fromkeys((*_SUMMED, "tokens"), 0)

    def add(self, finished: Finished) -> None:
        told = finished.speculation
        if (way := told.get(SPECULATION)) not in self._answers:
            return
        self._answers[way] += 1
        if way != DRAFTED:
            return
        for name in _SUMMED:
            self._sums[name] += int(told[name]) if is_number(told.get(name)) else 0
        self._sums["tokens"] += finished.usage.completion_tokens if finished.usage else 0

    def as_json(self) -> dict[str, Any] | None:
        """`answers` by who gave them; the others are of those whose drafts were checked. None where
        no answer has told."""
        return {"answers": self._answers, **self._sums} if any(self._answers.values()) else None
