"""Loads an algorithm of the user's own: a class, named as 'package.module:Class'."""

import importlib
import inspect
from typing import get_args

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters, Stage


def load_own(path: str, source: str) -> type[Algorithm]:
    """Imports and checks the class. Raises ConfigurationError that begins with `source`."""
    module_name, _, attribute = path.partition(":")
    if not all(part.isidentifier() for part in (*module_name.split("."), attribute)):
        raise ConfigurationError(f"{source}: {path!r} is not 'package.module:Class'")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{source}: there is no module {error.name!r}; install its package, or put its folder "
            "on PYTHONPATH"
        ) from error
    except Exception as error:
        raise ConfigurationError(
            f"{source}: {module_name} fails when it is imported: {error!r}"
        ) from error
    found = getattr(module, attribute, None)
    if found is None:
        raise ConfigurationError(f"{source}: {module.__name__} has no {attribute!r}")
    return _checked(found, source)


def _checked(found: object, source: str) -> type[Algorithm]:
    if not isinstance(found, type) or not issubclass(found, Algorithm):
        raise ConfigurationError(
            f"{source}: {found!r} is not a subclass of transformers_hem.algorithms.base.Algorithm"
        )
    stage = getattr(found, "stage", None)
    if stage not in get_args(Stage):
        raise ConfigurationError(f"{source}: its stage must be 'query' or 'answer', not {stage!r}")
    parameters = found.Parameters
    if not isinstance(parameters, type) or not issubclass(parameters, AlgorithmParameters):
        raise ConfigurationError(
            f"{source}: its Parameters are {parameters!r}, no subclass of AlgorithmParameters"
        )
    if inspect.isabstract(found):
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise ConfigurationError(f"{source}: it does not define {missing}")
    return found
