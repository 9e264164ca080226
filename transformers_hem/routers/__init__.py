"""Trained routers: what `hem train` makes, one folder each.

A folder holds score.py (the Algorithm that serves, and its files on disk) and learner.py (what
`hem train` runs). What they share is here:

- base.py        `TrainedRouter`, `TrainedConfig` (its config.json) and `Learner`
- directory.py   a router's directory: found, read with checks, written whole or not at all
- targets.py     what a router learns to predict
- fitting.py     folds, and logistic regression on shares (needs scikit-learn)
- cross_entropy.py  what that regression makes least
- assessment.py  what out-of-fold scores show: a map to probabilities, a threshold, metrics
- training.py    `hem train`, and the table LEARNERS
- scoring.py     opens any router directory; `hem score`
- encoder/       what kernel, knn and classifier share: a neural encoder, run and exported

A new trained router is one folder and one line below. A score.py imports neither sklearn nor torch:
edge nodes serve without them. Directories that a release wrote must load in the next one.
"""

from typing import NamedTuple


class TrainedRouterRow(NamedTuple):
    """Where an Algorithm is and the Learner that trains it: "module:Class"."""

    score: str
    learner: str


TRAINED_ROUTERS = {
    "LinearRouter": TrainedRouterRow(
        score="transformers_hem.routers.linear.score:LinearRouter",
        learner="transformers_hem.routers.linear.learner:LinearLearner",
    ),
    "CombinedRouter": TrainedRouterRow(
        score="transformers_hem.routers.combined.score:CombinedRouter",
        learner="transformers_hem.routers.combined.learner:CombinedLearner",
    ),
    "KernelRouter": TrainedRouterRow(
        score="transformers_hem.routers.kernel.score:KernelRouter",
        learner="transformers_hem.routers.kernel.learner:KernelLearner",
    ),
    "KNNRouter": TrainedRouterRow(
        score="transformers_hem.routers.knn.score:KNNRouter",
        learner="transformers_hem.routers.knn.learner:KNNLearner",
    ),
    "BERTRouter": TrainedRouterRow(
        score="transformers_hem.routers.classifier.score:BERTRouter",
        learner="transformers_hem.routers.classifier.learner:BERTLearner",
    ),
    "LLMRouter": TrainedRouterRow(
        score="transformers_hem.routers.classifier.score:LLMRouter",
        learner="transformers_hem.routers.classifier.learner:LLMLearner",
    ),
}
