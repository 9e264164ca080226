"""What trains one algorithm."""

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.training.rows import Labels

Metrics = dict[str, float | int | str]


class Learner(ABC):
    """`Parameters` are what `hem train --set` takes, checked as an algorithm's are."""

    Parameters: ClassVar[type[AlgorithmParameters]] = AlgorithmParameters

    def __init__(self, parameters: AlgorithmParameters) -> None:  # noqa: B027 - many have none
        """Refuses parameters that can't be used here with a ConfigurationError, before any work."""

    @abstractmethod
    def train(self, labels: Labels, out: Path, seed: int) -> Metrics:
        """Writes a router directory; returns what it promises, as its config.json says it."""
