"""What every loaded model is to the engine, whichever its format."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from numpy.typing import NDArray

from predictors.contract.tensors import TensorType
from predictors.engines.classifier.settings import ClassifierSettings

Arrays: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Port:
    """An input of a model: one of `datatypes`, and -1 for any length. The shape None is any shape
    that has rows, where the file doesn't say which."""

    name: str
    datatypes: tuple[str, ...]
    shape: tuple[int, ...] | None

    def __str__(self) -> str:
        shape = "of any shape" if self.shape is None else str(list(self.shape))
        return f"{self.name!r} {' or '.join(self.datatypes)} {shape}"

    def metadata(self) -> TensorType:
        """V2 has no word for any shape: it is empty then, and not [-1], which is a vector."""
        return TensorType(self.name, self.datatypes[0], self.shape or ())


class Source(ABC):
    """A model in memory.

    A subclass's constructor takes the path and the settings, loads the model, sets the attributes
    below, and raises ConfigurationError. It and `run` are called in the engine's one thread.
    """

    inputs: Sequence[Port]
    # Empty where the file doesn't describe them.
    outputs: Sequence[TensorType] = ()
    # Rows that the model takes at a time, no more and no fewer; None for any number.
    batch: int | None = None

    @abstractmethod
    def __init__(self, path: Any, settings: ClassifierSettings) -> None: ...

    @abstractmethod
    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """`probabilities` FP32 [N, C] or `boxes` FP32 [N, M, 6], and whatever else the model gives.

        `inputs` are as `self.inputs` says, N rows each. Raises InvalidRequest for values that the
        model can't take; any other error is the model's.
        """


def common_batch(lengths: Sequence[int]) -> int | None:
    """The batch size of a model whose inputs have these first lengths; -1 is a free one."""
    return max(lengths) if max(lengths, default=-1) > 0 else None


def cpu_threads(settings: ClassifierSettings) -> int:
    """How many threads to compute in; 0 is the library's own choice."""
    declared = os.environ.get("OMP_NUM_THREADS", "")
    return settings.threads or (int(declared) if declared.isdecimal() else 0)
