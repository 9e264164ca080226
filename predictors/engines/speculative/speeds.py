"""How fast each way of answering was, of late."""

from dataclasses import dataclass, field

from predictors.contract import Answer
from predictors.engines.speculative.pace import Mean

WEIGHT = 0.15


@dataclass(slots=True)
class Speed:
    """Seconds to the `first` token, and from token to token; `tokens` an answer."""

    first: Mean = field(default_factory=lambda: Mean(WEIGHT))
    between: Mean = field(default_factory=lambda: Mean(WEIGHT))
    tokens: Mean = field(default_factory=lambda: Mean(WEIGHT))

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
        return self.first.count > 0

    def seconds(self, tokens: float) -> float:
        """Of an answer of so many."""
        return self.first.value + max(tokens - 1, 0) * self.between.value
