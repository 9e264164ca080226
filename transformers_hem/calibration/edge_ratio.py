"""The threshold that leaves a given share of queries at the edge."""

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv
from scipy.stats import norm

from predictors.errors import ConfigurationError
from transformers_hem.calibration.bounds import Floats
from transformers_hem.evaluation.quality import cuttable, threshold_after

TOLERANCE = 0.05  # a share that may be further off than this is no promise


@dataclass(frozen=True, slots=True)
class EdgeShare:
    """`low` to `high` holds the share of live queries with the wanted confidence."""

    threshold: float
    low: float
    high: float


def threshold_for(scores: Floats, ratio: float, confidence: float) -> EdgeShare:
    """`scores`: float [N], infinite where there is none.

    The interval is Clopper and Pearson's (1934). Raises ConfigurationError where it is wider than
    the tolerance on a side, or where equal scores leave no threshold near the ratio.
    """
    count = len(scores)
    ordered = np.sort(scores)
    cuts = np.flatnonzero(cuttable(ordered))
    if not len(cuts):
        raise ConfigurationError(f"none of the {count} rows can be told from another by its score")
    at_edge = int(cuts[np.argmin(np.abs(cuts - ratio * count))])
    _require_near(at_edge / count, ratio, count)
    error = (1 - confidence) / 2
    low = float(betaincinv(at_edge, count - at_edge + 1, error)) if at_edge else 0.0
    high = float(betaincinv(at_edge + 1, count - at_edge, 1 - error)) if at_edge < count else 1.0
    if max(high - at_edge / count, at_edge / count - low) > TOLERANCE:
        share = at_edge / count
        needed = norm.ppf(1 - error) ** 2 * max(share * (1 - share), 0.02) / TOLERANCE**2
        raise ConfigurationError(
            f"{count} rows can't promise an edge share of {ratio:g} to within {TOLERANCE:g} with "
            f"confidence {confidence:g}; about {max(int(np.ceil(1.1 * needed)), count + 1)} "
            "would be needed"
        )
    return EdgeShare(threshold_after(ordered, at_edge), low, high)


def _require_near(share: float, ratio: float, count: int) -> None:
    if abs(share - ratio) > TOLERANCE:
        raise ConfigurationError(
            f"no threshold is near an edge share of {ratio:g}: too many of the {count} rows have "
            f"equal scores, or none; the nearest share is {share:.3g}"
        )
