"""What every loaded model is to the engine, whichever its format."""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from numpy.typing import NDArray

from predictors.contract.tensors import TensorType
from predictors.engines.classifier.settings import ClassifierSettings

Arrays: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Port:
    """An input of a model: any of `datatypes`, and -1 for any length. shape None: any shape that
    has rows; the file doesn't say."""

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
    """A model in memory. The constructor loads it, and raises ConfigurationError; it and `run` are
    called in the engine's one thread."""

    def __init__(self, path: Path, settings: ClassifierSettings) -> None:
        self.path = path
        self.settings = settings

    @property
    @abstractmethod
    def inputs(self) -> Sequence[Port]: ...

    @property
    @abstractmethod
    def outputs(self) -> Sequence[TensorType]: ...

    @property
    def batch(self) -> int | None:
        """Rows that the model takes at a time, no more and no fewer; None for any number."""
        return None

    @abstractmethod
    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """`probabilities` FP32 [N, C] or `boxes` FP32 [N, M, 6], and whatever else the model gives.

        `inputs` are as `self.inputs` says, N rows each. Raises InvalidRequest for values that the
        model can't take; any other error is the model's.
        """


def common_batch(firsts: Sequence[int]) -> int | None:
    """Of the first lengths of all inputs; -1 is a free one."""
    return max(firsts) if max(firsts, default=-1) > 0 else None


def cpu_threads(settings: ClassifierSettings) -> int:
    """0: the library's own choice."""
    declared = os.environ.get("OMP_NUM_THREADS", "")
    return settings.threads or (int(declared) if declared.isdecimal() else 0)
