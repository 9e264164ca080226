"""The kind of table that STRATEGIES is: lazy, and with the classes of plug-ins."""

from predictors.errors import ConfigurationError
from predictors.registry import PluginRegistry, load_class
from transformers_hem.algorithms.plugins import require_sound
from transformers_hem.strategies.base import Strategy

ENTRY_POINTS = "kserve_hem.strategies"


class StrategyRegistry(PluginRegistry[Strategy]):
    group = ENTRY_POINTS
    base = Strategy

    def load_own(self, path: str, source: str) -> type[Strategy]:
        """Imports and checks a class. Raises ConfigurationError that begins with `source`."""
        kind = load_class(path, Strategy, source)  # type: ignore[type-abstract]
        require_sound(kind, source)
        if kind.at_edge and kind.stage != "query":
            raise ConfigurationError(
                f"{source}: with at_edge the edge's engine asks the cloud before there is an "
                f"answer; its stage must be 'query', not {kind.stage!r}"
            )
        return kind
