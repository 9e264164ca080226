"""How well a system tells the queries that the cloud does better from the others."""

from collections.abc import Sequence

import numpy as np

from inferencegraph.evaluate.outcome import Outcome
from transformers_hem.arrays import Floats
from transformers_hem.evaluation.metrics import ScoredRows, measure
from transformers_hem.labels.labels import is_hard


def router_metrics(
    outcomes: Sequence[Outcome],
    threshold: float | None,
    edge: Floats,
    cloud: Floats,
    epsilon: float,
) -> dict[str, float]:
    """APGR, CPT, AUROC, accuracy, recall, F1 ... of a run's difficulties, beside how both models
    did, float [N] each. Empty where the run has no difficulty for some question."""
    scores = np.array([np.nan if o.difficulty is None else o.difficulty for o in outcomes])
    if threshold is None or np.isnan(scores).any():
        return {}
    hard = is_hard(edge, cloud, epsilon)
    return measure(ScoredRows(scores, threshold, edge, cloud, np.asarray(hard)))
