"""What every trained router has: a score, a config.json and a learner."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters, Batch, Scores
from transformers_hem.calibration.config import CalibratedConfig
from transformers_hem.labels.labels import Labels
from transformers_hem.routers.directory import new_directory, write_config
from transformers_hem.routers.fingerprints import write_fingerprints
from transformers_hem.routers.targets import require_learnable

if TYPE_CHECKING:
    from transformers_hem.routers.fitting import OutOfFold
    from transformers_hem.routers.linear.texts import Reading

Metrics = dict[str, float | int | str]


class TrainedConfig(CalibratedConfig):
    """What config.json says of the training: on `rows` labels, with that `seed`.

    `epsilon` is what the edge was allowed to be worse by, in labels' units. `metrics` are of rows
    that the router wasn't fitted to.
    """

    seed: int
    rows: int
    epsilon: float = Field(default=0.0, ge=0)
    metrics: Metrics


class TrainedRouter(Algorithm):
    """score = `raw`, made a probability by the map that the router's directory brings."""

    @abstractmethod
    def raw(self, batch: Batch) -> Scores:
        """The model's own difficulty per row, float [N] in [0, 1]; NaN where a signal is missing.

        Routers trained to the same labels have it on about the same scale.
        """

    def score(self, batch: Batch) -> Scores:
        raw = self.raw(batch)
        return self.calibrated.difficulty(raw) if self.calibrated else raw


class Learner(ABC):
    """`Parameters` are what `hem train --set` takes, checked as an algorithm's are.

    `out_of_fold`: of the last training, the raw difficulty of each row by models that never saw it;
    None where a learner makes no such models. `reading`: what a LinearRouter reads of
    texts, from whoever has read some of the queries before; other learners need none of it.
    """

    Parameters: ClassVar[type[AlgorithmParameters]] = AlgorithmParameters
    out_of_fold: "OutOfFold | None" = None
    reading: "Reading | None" = None

    def __init__(self, parameters: AlgorithmParameters) -> None:  # noqa: B027 - many have none
        """Refuses parameters that can't be used here with a ConfigurationError, before any work."""

    def train(self, labels: Labels, out: Path, seed: int) -> Metrics:
        """Writes the router directory `out`; returns its metrics, rows and threshold.

        Raises ConfigurationError where the labels can't be learned from, and leaves `out` as it
        was.
        """
        require_learnable(labels)
        with new_directory(out) as directory:
            learned = self.learn(labels, directory, seed)
            config = learned.model_copy(update={"prefix_tokens": labels.prefix_tokens})
            write_config(directory, config)
            write_fingerprints(directory, labels.queries)
        return {**config.metrics, "rows": config.rows, "threshold": config.threshold}

    @abstractmethod
    def learn(self, labels: Labels, directory: Path, seed: int) -> TrainedConfig:
        """Writes everything but config.json to the new `directory`, whose parent is a scratch
        folder of this training; returns what config.json will say."""
