"""What the algorithms have in common whose router `hem train` wrote."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters, Batch, Scores
from transformers_hem.calibration.config import CalibratedConfig
from transformers_hem.labels.labels import Labels


class TrainedRouter(Algorithm):
    """score = `raw`, made a probability by the map that the router's directory brings."""

    _config: CalibratedConfig | None = None

    @property
    def calibrated(self) -> CalibratedConfig | None:
        return self._config

    @abstractmethod
    def raw(self, batch: Batch) -> Scores:
        """The model's own difficulty per row, float [N] in [0, 1]; NaN where a signal is missing.

        Routers trained to the same labels have it on about the same scale.
        """

    def score(self, batch: Batch) -> Scores:
        raw = self.raw(batch)
        return self._config.difficulty(raw) if self._config else raw


Metrics = dict[str, float | int | str]


class Learner(ABC):
    """`Parameters` are what `hem train --set` takes, checked as an algorithm's are."""

    Parameters: ClassVar[type[AlgorithmParameters]] = AlgorithmParameters

    def __init__(self, parameters: AlgorithmParameters) -> None:  # noqa: B027 - many have none
        """Refuses parameters that can't be used here with a ConfigurationError, before any work."""

    @abstractmethod
    def train(self, labels: Labels, out: Path, seed: int) -> Metrics:
        """Writes a router directory; returns what it promises, as its config.json says it."""
