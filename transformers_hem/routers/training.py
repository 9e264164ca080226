"""`hem train`: labels in, a router directory out."""

from collections.abc import Mapping
from pathlib import Path

from predictors.errors import ConfigurationError
from predictors.registry import Registry
from transformers_hem.algorithms import ALGORITHMS
from transformers_hem.algorithms.parameters import parse
from transformers_hem.labels.labels import read_labels, sample
from transformers_hem.routers import TRAINED_ROUTERS
from transformers_hem.routers.base import Learner, Metrics
from transformers_hem.routers.directory import require_place

LARGEST_SEED = 2**32 - 1  # of NumPy's legacy generator, which scikit-learn draws from

LEARNERS: Registry[Learner] = Registry(
    "trainable algorithm", {name: row.learner for name, row in TRAINED_ROUTERS.items()}
)


def train(
    data: Path,
    algorithm: str,
    out: Path,
    limit: int | None = None,
    seed: int = 0,
    epsilon: float = 0.0,
    parameters: Mapping[str, str] | None = None,
    prefix_tokens: int | None = None,
) -> Metrics:
    """Trains `algorithm` on labelled rows and writes the router directory `out`.

    `limit` trains on that many rows, drawn by `seed`, which is up to LARGEST_SEED. A row is hard
    where the edge is worse by more than `epsilon`, on the labels' scale. `parameters` are the
    learner's own, as strings. With `prefix_tokens` it learns from so many first tokens of the
    edge's answers. The same data, seed and parameters give the same bytes. Raises
    ConfigurationError for bad data or parameters, and for an `out` that can't be written before
    anything is learned; nothing half-written is left.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise ConfigurationError(f"a seed must be between 0 and {LARGEST_SEED}, not {seed}")
    kind = LEARNERS.load(algorithm)
    if prefix_tokens is not None:
        _require_answers(algorithm)
    learner = kind(parse(f"training {algorithm}", kind, dict(parameters or {})))
    labels = sample(read_labels(data, epsilon, prefix_tokens), limit, seed)
    require_place(out)
    return learner.train(labels, out, seed)


def _require_answers(algorithm: str) -> None:
    """Raises ConfigurationError for one that sees no answer, and so no beginning of one."""
    if (stage := ALGORITHMS.load(algorithm).stage) != "answer":
        raise ConfigurationError(
            "--prefix-tokens is for routers that mine the answer, as CombinedRouter does; "
            f"{algorithm} mines the {stage}"
        )
