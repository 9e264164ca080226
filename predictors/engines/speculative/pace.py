"""How many tokens to draft, and how far ahead: a model of what a round costs.

With a chance a that a drafted token is taken where all before it were, k drafted ones give
(1 - a^(k + 1)) / (1 - a) tokens a round (Leviathan et al., arXiv 2211.17192, equation 1). Drafted
and waited for in turns, a round takes the link, the check, and k steps of the drafter.

With rounds under way all the time a refused token is heard of at the end of the block that holds
it: R + V + b s after the drafter began, and max(b s, V) later for each block of b tokens before it
(link R, a check V, a step s). 1 / (1 - a) tokens come of that, by 1 + a^(b + 1) / (1 - a^b)
passes: the first block's pass gives at most b + 1 tokens, each further one b, as the large model's
own token is guessed by the next block.
"""

from dataclasses import dataclass, field
from typing import Final

from predictors.contract.speculation import MOST_DRAFTED, PassCost, Verdict

MOST_IN_TURNS: Final = 32
MOST_AHEAD: Final = 96  # tokens: what a round may have pending, and a block
FIRST: Final = 4
FIRST_ROUNDS: Final = 4
HIGHEST: Final = 0.995
# Tokens are drafted ahead as long as all before them are taken with this chance.
UNLIKELY: Final = 0.05
# Passes a token that a block's length may cost, or so many times what the longest costs.
PASSES: Final = 0.45
MORE_PASSES: Final = 1.2
# What a round costs both sides beside the link and the pass: a request of HTTP, of a Python server.
ROUND_SECONDS: Final = 0.0015


@dataclass(slots=True)
class Mean:
    """That forgets: the newest value weighs `weight`, the first ones all alike."""

    weight: float = 0.1
    value: float = 0.0
    count: int = 0

    def add(self, value: float, times: int = 1) -> None:
        for _ in range(times):
            self.count += 1
            self.value += (value - self.value) * max(self.weight, 1 / self.count)


@dataclass(frozen=True, slots=True)
class Costs:
    """Seconds: of the `link` there and back, of a check whose tokens are drafted `check_tokens` at
    a time, of a `step` of the drafter. `taken`: the chance that a token is."""

    link: float
    check: float
    step: float
    taken: float


def in_turns(costs: Costs, count: int) -> float:
    """Tokens a second where `count` are drafted, then checked, then waited for."""
    a = min(costs.taken, HIGHEST)
    tokens = (1 - a ** (count + 1)) / (1 - a)
    return tokens / (costs.link + costs.check + ROUND_SECONDS + count * costs.step)


def passes_a_token(taken: float, block: int) -> float:
    """Of blocks under way all the time."""
    a = min(taken, HIGHEST)
    return (1 - a) * (1 + a ** (block + 1) / (1 - a**block))


def without_waiting(costs: Costs, block: int) -> float:
    """Tokens a second with blocks under way all the time."""
    a = min(costs.taken, HIGHEST)
    later = a ** (block + 1) / (1 - a**block)  # further blocks before the one that is refused
    busy = max(block * costs.step, costs.check + ROUND_SECONDS)
    seconds = costs.link + costs.check + ROUND_SECONDS + block * costs.step + later * busy
    return 1 / (1 - a) / seconds


def best_block(costs: Costs) -> int:
    """The length that gives most tokens a second, of those that cost few passes."""
    allowed = max(PASSES, MORE_PASSES * (1 - min(costs.taken, HIGHEST)))
    lengths = [b for b in range(1, MOST_IN_TURNS + 1) if passes_a_token(costs.taken, b) <= allowed]
    return max(lengths or [MOST_IN_TURNS], key=lambda block: without_waiting(costs, block))


def cheapest_block(taken: float, cost: PassCost | None, rows: float) -> int:
    """The length that costs the verify side the least computing a token, with so many sequences in
    each pass; where it does not tell what a pass costs, the least passes, but for a twentieth."""

    def seconds(block: int) -> float:
        passes = passes_a_token(taken, block)
        if cost is None:
            return passes
        # The first pass of several looks at a token more: where a draft begins is in no cache.
        first = 1 - min(taken, HIGHEST)
        tokens = passes * block + first
        return passes * (cost.fixed / rows + cost.row) + tokens * cost.token

    least = min(map(seconds, range(1, MOST_IN_TURNS + 1)))
    return next(block for block in range(1, MOST_IN_TURNS + 1) if seconds(block) <= 1.05 * least)


@dataclass(slots=True)
class Pace:
    """Of one engine: all its sequences have the same link and the same models. `spares` the verify
    side's computing, and not the time of an answer."""

    fixed: int = 0
    spares: bool = False
    far_cost: PassCost | None = None  # as the verify side tells it
    taken: Mean = field(default_factory=lambda: Mean(0.01))
    link: Mean = field(default_factory=Mean)
    check: Mean = field(default_factory=Mean)
    step: Mean = field(default_factory=Mean)
    rows: Mean = field(default_factory=Mean)  # sequences in a pass
    second: Mean = field(default_factory=lambda: Mean(0.02))  # choices that were right
    spent: Mean = field(default_factory=Mean)
    alone: Mean = field(default_factory=Mean)
    _best: dict[bool, tuple[int, int]] = field(default_factory=dict)  # at which count of news, what
    _news: int = 0

    @property
    def costs(self) -> Costs:
        return Costs(self.link.value, self.check.value, self.step.value, self.taken.value)

    def drafted(self, tokens: int, seconds: float | None) -> None:
        if tokens and seconds is not None:
            self.step.add(seconds / tokens)

    def checked(self, drafted: int, verdict: Verdict, seconds: float | None) -> None:
        """`seconds` from a round's leaving to its verdict; None where others of the sequence were
        under way, or a prompt was computed."""
        if verdict.passes == 1:
            self.check.add(verdict.seconds)
            self.rows.add(verdict.rows)
            if (cost := self.far_cost) is not None:
                self.alone.add(cost.fixed / verdict.rows + cost.row + cost.token)
            elif drafted == 0:
                self.alone.add(verdict.seconds)
        if seconds is not None:
            self.link.add(max(0.0, seconds - max(verdict.held, verdict.seconds)))
            self._news += 1

    def judged(self, taken: int, refused: int) -> None:
        """Drafted tokens that were looked at."""
        self.taken.add(1.0, taken)
        self.taken.add(0.0, refused)

    def answered(self, tokens: int, computing: float) -> None:
        """Of an answer, without its prompt: seconds of the verify side's computing."""
        if tokens:
            self.spent.add(computing / tokens)

    def share(self) -> float | None:
        """Of what the verify side computes for a token alone, what speculation costs it; None while
        that is not known."""
        if not self.spent.count or not self.alone.count or self.alone.value <= 0:
            return None
        return self.spent.value / self.alone.value

    def block(self, ahead: int, most_rounds: int) -> int:
        """How many tokens to draft now behind those `ahead`; 0: none."""
        if most_rounds == 1:
            return self.fixed or self._known(in_turns=True)
        if ahead >= MOST_AHEAD or self._unlikely(ahead):
            return 0
        return self.fixed or self._known(in_turns=False)

    def _unlikely(self, ahead: int) -> bool:
        known = self.taken.count >= FIRST_ROUNDS
        return known and min(self.taken.value, HIGHEST) ** ahead < UNLIKELY

    def _known(self, *, in_turns: bool) -> int:
        """The best length by what is known by now; worked out once for all that ask meanwhile."""
        if self.link.count < FIRST_ROUNDS:
            return FIRST
        news, best = self._best.get(in_turns, (-1, 0))
        if news != self._news:
            best = self._best_in_turns() if in_turns else self._best_ahead()
            self._best[in_turns] = self._news, best
        return min(best, MOST_DRAFTED)

    def _best_in_turns(self) -> int:
        costs = self.costs
        return max(range(MOST_IN_TURNS + 1), key=lambda count: in_turns(costs, count))

    def _best_ahead(self) -> int:
        if self.spares:
            return cheapest_block(self.taken.value, self.far_cost, max(self.rows.value, 1.0))
        return best_block(self.costs)
