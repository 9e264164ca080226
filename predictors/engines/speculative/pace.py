"""How many tokens to draft: as many as give the most tokens a second.

With a chance a that a drafted token is taken where all before it were, k drafted ones give
(1 - a^(k + 1)) / (1 - a) tokens a round (Leviathan et al., arXiv 2211.17192, equation 1), which
takes the round trip, the check, and k steps of the drafter.
"""

from dataclasses import dataclass, field
from typing import Final

MOST: Final = 24
WEIGHT: Final = 0.1  # of the newest round in a mean that forgets
FIRST: Final = 4
FIRST_ROUNDS: Final = 4
HIGHEST: Final = 0.995


@dataclass(slots=True)
class Mean:
    """That forgets: exponentially weighted, the first ones evenly."""

    value: float = 0.0
    count: int = 0

    def add(self, value: float) -> None:
        self.count += 1
        self.value += (value - self.value) * max(WEIGHT, 1 / self.count)


@dataclass(slots=True)
class Pace:
    """Of one engine: all its sequences have the same link and the same models. Seconds."""

    fixed: int = 0
    taken: Mean = field(default_factory=Mean)  # chance that a drafted token is taken
    round: Mean = field(default_factory=Mean)  # from a round's leaving to its verdict
    step: Mean = field(default_factory=Mean)  # of the drafter, a token

    def drafted(self, tokens: int, seconds: float) -> None:
        if tokens:
            self.step.add(seconds / tokens)

    def checked(self, drafted: int, taken: int, seconds: float) -> None:
        """Of the tokens that were looked at, the first one that was not taken is the last."""
        self.round.add(seconds)
        for _ in range(taken):
            self.taken.add(1.0)
        if taken < drafted:
            self.taken.add(0.0)

    def tokens(self) -> int:
        if self.fixed:
            return self.fixed
        if self.round.count < FIRST_ROUNDS:
            return FIRST
        return max(range(MOST + 1), key=self.rate)

    def rate(self, count: int) -> float:
        """Tokens a second with so many drafted."""
        chance = min(self.taken.value, HIGHEST)
        tokens = (1 - chance ** (count + 1)) / (1 - chance)
        return tokens / (self.round.value + count * self.step.value)
