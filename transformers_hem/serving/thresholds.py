"""Which threshold is in force, where several places may say one."""

import math

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Algorithm
from transformers_hem.algorithms.parameters import THRESHOLD

DEFAULT_THRESHOLD = 0.5


def choose_threshold(
    algorithm: Algorithm,
    parameters: set[str],
    taken: float | None,
    environment: float | None,
) -> float:
    """HEM_THRESHOLD, the parameters' threshold, or the algorithm's own.

    `parameters` are the names of the algorithm's own parameters that are set; `taken` is what
    `take_threshold` took. Raises ConfigurationError where two of them contradict each other.
    """
    default = algorithm.default_threshold
    own = sorted(parameters & algorithm.threshold_parameters)
    sources = [(f"parameter {name!r}", default) for name in own]
    sources += [(f"parameter {THRESHOLD!r}", taken), ("HEM_THRESHOLD", environment)]
    chosen = [(source, value) for source, value in sources if value is not None]
    if not chosen:
        return DEFAULT_THRESHOLD if default is None else default
    (first, threshold), *others = chosen
    for other, value in others:
        if not math.isclose(threshold, value, abs_tol=1e-9):
            raise ConfigurationError(
                f"{first} puts the threshold at {threshold:g}, but {other} at {value:g}; "
                "set one of them"
            )
    return threshold
