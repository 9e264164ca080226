"""Settings that don't fit the algorithm, or the strategy, that they name."""

from typing import TYPE_CHECKING

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.labels.prefixes import the_first
from transformers_hem.serving.designs import refuse_algorithm
from transformers_hem.serving.modes import MODES
from transformers_hem.strategies.base import Strategy

if TYPE_CHECKING:
    from transformers_hem.serving.settings import HEMSettings


def has_no_algorithm(name: str | None, settings: "HEMSettings") -> bool:
    """Whether a strategy stands alone; a guard is Ianvs's word for one. Raises ConfigurationError
    for what only an algorithm reads."""
    if name is not None or settings.router is not None:
        return False
    alone = {"HEM_THRESHOLD": settings.threshold, "HEM_PARAMETERS": settings.parameters.strip()}
    for variable, value in alone.items():
        if value or value == 0:
            raise ConfigurationError(
                f"{variable} is set, but no HEM_ALGORITHM that reads it; the strategy's own are "
                "HEM_STRATEGY_PARAMETERS"
            )
    return True


def refuse_misfits(
    settings: "HEMSettings", name: str, kind: type[Algorithm], strategy: Strategy | None
) -> None:
    if settings.router is not None and "router" not in kind.Parameters.model_fields:
        raise ConfigurationError(f"HEM_ROUTER is set, but {name} takes no router")
    if strategy is not None:
        return refuse_algorithm(name, kind.stage, settings.strategy or "", strategy)
    if settings.mining_mode not in (None, MODES[kind.stage]):
        raise ConfigurationError(
            f"MINING_MODE {settings.mining_mode} contradicts HEM_ALGORITHM {name}, which mines "
            f"the {kind.stage}: unset it, or set {MODES[kind.stage]}"
        )


def refuse_prefix(name: str, algorithm: Algorithm, strategy: str) -> None:
    """Beside a strategy, which looks at whole answers."""
    if (tokens := algorithm.prefix_tokens) is not None:
        raise ConfigurationError(
            f"{name} decides on {the_first(tokens)} of an answer, and the strategy {strategy} "
            "looks at whole ones: take a router that does, too"
        )
