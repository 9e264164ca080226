"""How fast each way of answering was, of late."""

from collections import deque
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from predictors.contract import Answer

NEWEST: Final = 12  # answers that are looked at


@dataclass(slots=True)
class Median:
    """Of the newest values: one answer that the machine kept waiting changes nothing."""

    values: deque[float] = field(default_factory=lambda: deque(maxlen=NEWEST))

    def add(self, value: float) -> None:
        self.values.append(value)

    @property
    def value(self) -> float:
        return median(self.values) if self.values else 0.0


@dataclass(slots=True)
class Speed:
    """Seconds to the `first` token, and from token to token; `tokens` an answer."""

    first: Median = field(default_factory=Median)
    between: Median = field(default_factory=Median)
    tokens: Median = field(default_factory=Median)

    def took(self, answer: Answer) -> None:
        count, first = answer.completion_tokens, answer.time_to_first_token
        if not count or first is None:
            return
        self.first.add(first)
        self.tokens.add(count)
        if answer.inter_token_latency is not None:
            self.between.add(answer.inter_token_latency)

    @property
    def known(self) -> bool:
        return bool(self.first.values)

    def seconds(self, tokens: float) -> float:
        """Of an answer of so many."""
        return self.first.value + max(tokens - 1, 0) * self.between.value


def seconds_of(answer: Answer) -> float | None:
    """From the first token's beginning to the last one; None where that is not known."""
    count, first = answer.completion_tokens, answer.time_to_first_token
    if not count or first is None:
        return None
    return first + (count - 1) * (answer.inter_token_latency or 0.0)
