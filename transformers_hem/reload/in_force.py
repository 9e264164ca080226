"""All that decides at one moment."""

from dataclasses import dataclass

from predictors.errors import ConfigurationError
from predictors.prices import Prices
from transformers_hem.gateway.keys import Keys
from transformers_hem.gateway.options import DecideAt
from transformers_hem.serving.decision import Decider


@dataclass(frozen=True, slots=True)
class InForce:
    """A request takes it once, at its beginning, and keeps it to its end: so it is answered by the
    old or by the new, never by a mix. `version` counts changes, from 1."""

    decider: Decider
    keys: Keys
    prices: Prices | None = None
    decide_at: DecideAt = "end"
    version: int = 1


class Current:
    """What is in force `now`: replaced by one assignment."""

    def __init__(self, now: InForce) -> None:
        self.now = now


def decides_at(set_to: DecideAt | None, decider: Decider) -> DecideAt:
    """As the trained router says, whose promise holds for nothing else. Raises
    ConfigurationError."""
    if decider.strategy is not None:
        if set_to not in (None, "end"):
            raise ConfigurationError(
                f"HEM_DECIDE_AT is {set_to}, but the strategy {decider.strategy_name} looks at "
                "whole answers: unset it"
            )
        return "end"
    trained = decider.algorithm.prefix_tokens
    if trained is None:
        return set_to or "end"
    if set_to not in (None, trained):
        raise ConfigurationError(
            f"HEM_DECIDE_AT is {set_to}, but {decider.router or decider.name} decides on the first "
            f"{trained} tokens"
        )
    return trained
