"""What was spent: whole numbers, so that sums are exact."""

from typing import Final, NamedTuple

from predictors.contract.usage import Usage
from predictors.prices import Prices

# Of the price file's currency. 64 bits hold nine billion of it.
NANO: Final = 1_000_000_000


class Amounts(NamedTuple):
    """`cost` in NANO of the currency."""

    requests: int = 0
    input: int = 0
    output: int = 0
    cost: int = 0

    def __sub__(self, other: "Amounts") -> "Amounts":
        return Amounts(*(mine - theirs for mine, theirs in zip(self, other, strict=True)))

    def plus(self, other: "Amounts") -> "Amounts":
        return Amounts(*map(sum, zip(self, other, strict=True)))


NOTHING: Final = Amounts()


def amounts_of(usage: Usage, prices: Prices | None, *models: str) -> Amounts:
    """Of one request. A model without a price costs as the dearest of the file."""
    return Amounts(1, usage.prompt_tokens, usage.completion_tokens, _cost(usage, prices, *models))


def _cost(usage: Usage, prices: Prices | None, *models: str) -> int:
    if prices is None:
        return 0
    cost = prices.cost(usage, *models)
    if cost is None:
        cost = max(price.cost(usage) for price in prices.models.values())
    return round(cost * NANO)
