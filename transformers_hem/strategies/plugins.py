"""The kind of table that STRATEGIES is: lazy, and with the classes of plug-ins."""

from typing import get_args

from predictors.errors import ConfigurationError
from predictors.registry import PluginRegistry, load_class, refuse_abstract
from transformers_hem.algorithms.base import AlgorithmParameters, Stage
from transformers_hem.strategies.base import Strategy

ENTRY_POINTS = "kserve_hem.strategies"


class StrategyRegistry(PluginRegistry[Strategy]):
    group = ENTRY_POINTS
    base = Strategy

    def load_own(self, path: str, source: str) -> type[Strategy]:
        """Imports and checks a class. Raises ConfigurationError that begins with `source`."""
        kind = load_class(path, Strategy, source)  # type: ignore[type-abstract]
        stage = getattr(kind, "stage", None)
        if stage not in get_args(Stage):
            raise ConfigurationError(
                f"{source}: its stage must be 'query' or 'answer', not {stage!r}"
            )
        if kind.at_edge and stage != "query":
            raise ConfigurationError(
                f"{source}: with at_edge the edge's engine asks the cloud before there is an "
                f"answer; its stage must be 'query', not {stage!r}"
            )
        parameters = kind.Parameters
        if not isinstance(parameters, type) or not issubclass(parameters, AlgorithmParameters):
            raise ConfigurationError(
                f"{source}: its Parameters are {parameters!r}, not a subclass of "
                "AlgorithmParameters"
            )
        refuse_abstract(kind, source)
        return kind
