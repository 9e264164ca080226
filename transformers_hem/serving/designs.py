"""The strategy of MINING_MODE self-design, from settings. Raises ConfigurationError."""

from typing import Final

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Stage
from transformers_hem.algorithms.parameters import parse, read_parameters
from transformers_hem.strategies import STRATEGIES
from transformers_hem.strategies.base import Strategy

PARAMETERS: Final = "HEM_STRATEGY_PARAMETERS"


def build_strategy(designs: bool, name: str | None, parameters: str) -> Strategy | None:
    """None of another mode than self-design, where there must be no name either."""
    if not designs:
        if name or parameters:
            given = f"HEM_STRATEGY {name!r}" if name else f"{PARAMETERS} {parameters!r}"
            raise ConfigurationError(
                f"{given} is of MINING_MODE self-design; set that, or unset this"
            )
        return None
    if not name:
        raise ConfigurationError(
            f"MINING_MODE self-design needs HEM_STRATEGY: {', '.join(STRATEGIES.names())}, or "
            "package.module:Class of your own"
        )
    own = ":" in name
    kind = STRATEGIES.load_own(name, f"HEM_STRATEGY {name!r}") if own else STRATEGIES.load(name)
    named, values = read_parameters(parameters, PARAMETERS)
    if named not in (None, name):
        raise ConfigurationError(f"HEM_STRATEGY is {name!r}, but {PARAMETERS} names {named!r}")
    return kind(parse(name, kind, values))


def refuse_algorithm(name: str, stage: Stage, strategy_name: str, strategy: Strategy) -> None:
    """One that needs an answer before there is one."""
    if strategy.stage == "query" and stage == "answer":
        raise ConfigurationError(
            f"the strategy {strategy_name} is asked before the edge answers, and {name} mines the "
            "answer: take an algorithm that mines the query"
        )
