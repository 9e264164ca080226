"""`hem train` and `hem score`: labels in, a router directory out; queries in, difficulties out."""

from pathlib import Path

from predictors.registry import Registry
from transformers_hem.training.learner import Learner, Metrics
from transformers_hem.training.rows import read_labels, sample
from transformers_hem.training.scoring import score_file

__all__ = ["LEARNERS", "score_file", "train"]

LEARNERS: Registry[Learner] = Registry(
    "trainable algorithm", {"LinearRouter": "transformers_hem.training.linear:LinearLearner"}
)


def train(
    data: Path,
    algorithm: str,
    out: Path,
    limit: int | None = None,
    seed: int = 0,
    epsilon: float = 0.0,
) -> Metrics:
    """Trains `algorithm` on labelled rows and writes the router directory `out`.

    `limit` trains on that many rows, drawn by `seed`. A row is hard where the edge is worse by
    more than `epsilon`, on the labels' scale. The same data and seed give the same bytes.
    Raises ConfigurationError for bad data; nothing half-written is left.
    """
    learner = LEARNERS.load(algorithm)()
    return learner.train(sample(read_labels(data, epsilon), limit, seed), out, seed)
