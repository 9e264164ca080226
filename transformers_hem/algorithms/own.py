"""Loads an algorithm of the user's own: a class, named as 'package.module:Class'."""

from typing import get_args

from predictors.errors import ConfigurationError
from predictors.plugins import load_class, refuse_abstract
from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters, Stage


def load_own(path: str, source: str) -> type[Algorithm]:
    """Imports and checks the class. Raises ConfigurationError that begins with `source`."""
    found = load_class(path, Algorithm, source)  # type: ignore[type-abstract]
    stage = getattr(found, "stage", None)
    if stage not in get_args(Stage):
        raise ConfigurationError(f"{source}: its stage must be 'query' or 'answer', not {stage!r}")
    parameters = found.Parameters
    if not isinstance(parameters, type) or not issubclass(parameters, AlgorithmParameters):
        raise ConfigurationError(
            f"{source}: its Parameters are {parameters!r}, no subclass of AlgorithmParameters"
        )
    refuse_abstract(found, source)
    return found
