"""What a router learns to predict, from how both models did on a query.

`hard` (for a classifier): the cloud does better than the edge, score_edge < score_cloud - epsilon;
Hybrid LLM's deterministic rule (arXiv 2404.14618, section 3), epsilon 0 by default. Its
probability is the difficulty; for right and wrong answers it is P(edge wrong and cloud right),
RouteLLM's win probability of the strong model (arXiv 2406.18665, section 3) without ties.

`difference` (for a regression): (1 + (cloud - edge) / scale) / 2. It also learns from queries where
the edge does better, and 0.5 means that the two are expected to do equally well. Epsilon has no
part in it. `expected_difference` is the same of two chances of being right.
"""

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from predictors.errors import ConfigurationError
from transformers_hem.arrays import Floats
from transformers_hem.labels.labels import LEAST_ROWS, Labels

Chance = TypeVar("Chance", float, NDArray[Any])


class TooLittle(ConfigurationError):
    """There is too little to learn from: more rows would do."""


def difference(labels: Labels) -> Floats:
    """Float [N] in [0, 1]; exactly 0.5 where both models did equally well."""
    return (1 + (labels.cloud - labels.edge) / labels.scale) / 2


def expected_difference(edge: Chance, cloud: Chance) -> Chance:
    """The difficulty in [0, 1] of P(edge right) and P(cloud right)."""
    difficulty: Chance = (1 + cloud - edge) / 2
    return difficulty


def rightness(labels: Labels) -> tuple[Floats, Floats]:
    """The edge's and the cloud's labels, float [N] in [0, 1]: themselves where they are right or
    wrong, scores by their place in the labels' range."""
    edge, cloud = (
        np.clip((each - labels.low) / labels.scale, 0, 1) for each in (labels.edge, labels.cloud)
    )
    return edge, cloud


def require_learnable(labels: Labels) -> None:
    """Raises TooLittle where there are too few rows, or only one class, to learn from, or no row
    to measure by."""
    count, hard = len(labels.queries), int(labels.hard.sum())
    if count < LEAST_ROWS:
        raise TooLittle(f"{count} labelled rows are too few; at least {LEAST_ROWS}")
    if not len(labels.paired):
        raise TooLittle(
            f"of none of {count} rows both sides are known, without which nothing can be measured; "
            "shadow evaluation (HEM_FEEDBACK_SHADOW) shows both, and so do labelled rows"
        )
    if min(hard, count - hard) < 2:
        raise TooLittle(
            f"the labels have one class only: the cloud does better on {hard} of {count} rows; "
            "at least 2 of either kind are needed"
        )
