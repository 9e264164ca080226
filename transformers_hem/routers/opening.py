"""Opens a trained router's directory as the algorithm that it was trained for."""

import orjson

from predictors.errors import ConfigurationError
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.algorithms.parameters import parse
from transformers_hem.routers.directory import (
    CONFIG_FILE,
    locate,
    read_file,
)


def open_router(name: str) -> Algorithm:
    """`name`: a directory or `embedded:<name>`. Raises ConfigurationError where it is unusable."""
    path = locate(name) / CONFIG_FILE
    try:
        algorithm = orjson.loads(read_file(path))["algorithm"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} names no algorithm: {error!r}") from error
    kind = ALGORITHMS.load(str(algorithm))
    return kind(parse(str(algorithm), kind, {"router": name}))
