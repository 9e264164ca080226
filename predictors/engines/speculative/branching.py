"""Other ways on, drafted before anybody knows that they are needed.

While rounds are under way the drafter has time. A drafted token that is refused is often replaced
by the drafter's second choice; so what would come behind that is drafted, too, and leaves as a round
of its own, whose draft begins in the refused token's place. Where the large model says that token,
the round goes on behind it at once, without the link's round trip; where not, it is answered
without a pass. (Trees of drafts, as in SpecInfer, arXiv 2305.09781, have both ways in one pass; here
the verify side knows which way it is before the second round is looked at.)
"""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from predictors.engines.speculative.pace import Mean

GUESS: Final = 0.4  # that the second choice is right, until some were seen
LEAST: Final = 0.02  # chance that a branch is needed, and right


class Way(NamedTuple):
    """`path` ends with the second choice, in place `at`."""

    path: list[int]
    at: int


@dataclass(slots=True)
class Branching:
    """Of one sequence. `right`: how often the second choice was what the large model said; of all
    sequences together."""

    right: Mean
    others: dict[tuple[int, int], int] = field(default_factory=dict)
    done: set[tuple[int, int]] = field(default_factory=set)

    def drafted(self, begin: int, tokens: list[int], others: list[int] | None) -> None:
        """From place `begin` on."""
        for place, (token, other) in enumerate(zip(tokens, others or (), strict=False), begin):
            self.others[place, token] = other

    def refused(self, place: int, drafted: int, said: int) -> None:
        """All ways that were drafted for stood behind it."""
        self.done.clear()
        other = self.others.get((place, drafted))
        if other is not None:
            self.right.add(float(other == said))

    def best(self, known: list[int], ahead: list[int], taken: float, most: int) -> list[Way]:
        """The ways that are most likely needed; none where going on with what is ahead is."""
        chance = self.right.value if self.right.count else GUESS
        ways: list[tuple[float, Way]] = []
        for place, token in enumerate(ahead):
            key = len(known) + place, token
            worth = taken**place * (1 - taken) * chance
            other = self.others.get(key)
            if other is not None and key not in self.done and worth >= LEAST:
                ways.append((worth, Way([*known, *ahead[:place], other], key[0])))
        ways = sorted(ways, key=lambda way: -way[0])[:most]
        if sum(worth for worth, _ in ways) <= taken ** len(ahead):
            return []
        return [way for _, way in ways]

    def left(self, ways: list[Way], path: list[int]) -> None:
        """They are drafted for, in place of those in `path`."""
        self.done.update((way.at, path[way.at]) for way in ways)
