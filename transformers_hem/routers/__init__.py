"""Trained routers: what `hem train` makes, one folder each.

A folder holds score.py (the Algorithm that serves, and its files on disk) and learner.py (what
`hem train` runs). What they share is here:

- base.py        `TrainedRouter`, `TrainedConfig` (its config.json) and `Learner`
- directory.py   a router's directory: found, read with checks, written whole or not at all
- targets.py     what a router learns to predict
- fitting.py     folds, and logistic regression on shares (needs scikit-learn)
- assessment.py  what out-of-fold scores show: probabilities, threshold, metrics
- training.py    `hem train`, and the table LEARNERS
- scoring.py     opens any router directory; `hem score`
- encoder/       what kernel, knn and classifier share: a neural encoder, run and exported

A new trained router is one folder and one line below. A score.py imports neither sklearn nor torch:
edge nodes serve without them. Directories that a release wrote must load in the next one.
"""

from typing import NamedTuple


class TrainedRouterRow(NamedTuple):
    """`package`: its folder; the classes in its score.py and its learner.py."""

    package: str
    score: str
    learner: str

    @property
    def algorithm(self) -> str:
        return f"{self.package}.score:{self.score}"

    @property
    def trained_by(self) -> str:
        return f"{self.package}.learner:{self.learner}"


TRAINED_ROUTERS = {
    "LinearRouter": TrainedRouterRow(
        "transformers_hem.routers.linear", score="LinearRouter", learner="LinearLearner"
    ),
    "CombinedRouter": TrainedRouterRow(
        "transformers_hem.routers.combined", score="CombinedRouter", learner="CombinedLearner"
    ),
    "KernelRouter": TrainedRouterRow(
        "transformers_hem.routers.kernel", score="KernelRouter", learner="KernelLearner"
    ),
    "KNNRouter": TrainedRouterRow(
        "transformers_hem.routers.knn", score="KNNRouter", learner="KNNLearner"
    ),
    "BERTRouter": TrainedRouterRow(
        "transformers_hem.routers.classifier", score="BERTRouter", learner="BERTLearner"
    ),
    "LLMRouter": TrainedRouterRow(
        "transformers_hem.routers.classifier", score="LLMRouter", learner="LLMLearner"
    ),
}
