"""What trains one algorithm."""

from abc import ABC, abstractmethod
from pathlib import Path

from transformers_hem.training.rows import Labels

Metrics = dict[str, float | int | str]


class Learner(ABC):
    @abstractmethod
    def train(self, labels: Labels, out: Path, seed: int) -> Metrics:
        """Writes a router directory; returns what it promises, as its config.json says it."""
