"""Which threshold holds: HEM_THRESHOLD, the parameters' or the algorithm's own."""

import math

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Algorithm

DEFAULT_THRESHOLD = 0.5
THRESHOLD = "threshold"


def take_threshold(algorithm: type[Algorithm], values: dict[str, str]) -> float | None:
    """Takes `threshold` out of the parameters, as Sedna and Ianvs write it beside the algorithm's
    own; it stays where the algorithm declares a `threshold` that means something else.
    """
    if THRESHOLD not in values or THRESHOLD in algorithm.Parameters.model_fields:
        return None
    text = values.pop(THRESHOLD)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise ConfigurationError(f"parameter {THRESHOLD!r} must be from 0 to 1, not {text!r}")
    return value


def choose_threshold(
    algorithm: Algorithm,
    given: set[str],
    environment: float | None,
    parameter: float | None,
) -> float:
    """`given` are the names of the algorithm's own parameters that are set; `parameter` is what
    `take_threshold` took. Raises ConfigurationError where two of them contradict each other."""
    own = sorted(given & algorithm.threshold_parameters)
    chosen = [(f"parameter {name!r}", algorithm.default_threshold) for name in own]
    chosen += [(f"parameter {THRESHOLD!r}", parameter), ("HEM_THRESHOLD", environment)]
    said = [(name, value) for name, value in chosen if value is not None]
    if not said:
        default = algorithm.default_threshold
        return DEFAULT_THRESHOLD if default is None else default
    (first, value), *others = said
    for other, contradicting in others:
        if not math.isclose(value, contradicting, abs_tol=1e-9):
            raise ConfigurationError(
                f"{first} puts the threshold at {value:g}, but {other} at {contradicting:g}; "
                "set one of them"
            )
    return value
