"""The kind of table that ALGORITHMS is: lazy, with aliases, and with the classes of plug-ins."""

from collections.abc import Mapping
from typing import get_args

from predictors.errors import ConfigurationError
from predictors.registry import PluginRegistry, load_class, refuse_abstract
from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters, Stage

ENTRY_POINTS = "kserve_hem.algorithms"


class AlgorithmRegistry(PluginRegistry[Algorithm]):
    """`aliases` maps another name of an algorithm to its own."""

    group = ENTRY_POINTS
    base = Algorithm

    def __init__(self, table: Mapping[str, str], aliases: Mapping[str, str]) -> None:
        super().__init__("algorithm", {**table, **{a: table[name] for a, name in aliases.items()}})

    def load_own(self, path: str, source: str) -> type[Algorithm]:
        """Imports and checks a class. Raises ConfigurationError that begins with `source`."""
        kind = load_class(path, Algorithm, source)  # type: ignore[type-abstract]
        require_sound(kind, source)
        return kind


def require_sound(kind: type, source: str) -> None:
    """Of a user's own algorithm or strategy. Raises ConfigurationError that begins with
    `source`."""
    stage = getattr(kind, "stage", None)
    if stage not in get_args(Stage):
        raise ConfigurationError(f"{source}: its stage must be 'query' or 'answer', not {stage!r}")
    parameters = getattr(kind, "Parameters", None)
    if not isinstance(parameters, type) or not issubclass(parameters, AlgorithmParameters):
        raise ConfigurationError(
            f"{source}: its Parameters are {parameters!r}, not a subclass of AlgorithmParameters"
        )
    refuse_abstract(kind, source)
