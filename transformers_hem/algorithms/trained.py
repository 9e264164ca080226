"""What the algorithms have in common whose router `hem train` wrote."""

from abc import abstractmethod

from transformers_hem.algorithms.base import Algorithm, Batch, Scores
from transformers_hem.calibration import CalibratedConfig


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
