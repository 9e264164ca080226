"""ONNX files by onnxruntime."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from predictors.contract import BOXES, PROBABILITIES
from predictors.contract.tensors import BYTES, TensorType
from predictors.engines.classifier.head import Head
from predictors.engines.classifier.rows import decoded
from predictors.engines.classifier.settings import ClassifierSettings
from predictors.engines.classifier.source import Arrays, Port, Source, common_batch, cpu_threads
from predictors.errors import ConfigurationError

# onnxruntime's element types -> V2's.
DATATYPES: Final[Mapping[str, str]] = {
    "tensor(bool)": "BOOL",
    **{f"tensor(uint{bits})": f"UINT{bits}" for bits in (8, 16, 32, 64)},
    **{f"tensor(int{bits})": f"INT{bits}" for bits in (8, 16, 32, 64)},
    "tensor(float16)": "FP16",
    "tensor(float)": "FP32",
    "tensor(double)": "FP64",
    "tensor(string)": BYTES,
}


class OnnxSource(Source):
    """Tensors by the model's own names."""

    def __init__(self, path: Any, settings: ClassifierSettings) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = cpu_threads(settings)
        # Threads that spin for work would take the cores of whatever runs beside.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session = onnxruntime.InferenceSession(
            str(path), options, providers=_providers(settings.device)
        )
        self._head = Head(settings.output, settings.activation)
        inputs = self._session.get_inputs()
        shapes = {each.name: _shape(each) for each in inputs}
        self.inputs = [
            Port(each.name, (_datatype(each),), (-1, *shapes[each.name][1:])) for each in inputs
        ]
        self.batch = common_batch([shape[0] for shape in shapes.values()])
        self.outputs = self._described()

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        fed = {n: decoded(n, v) if v.dtype == np.object_ else v for n, v in inputs.items()}
        names = [output.name for output in self._session.get_outputs()]
        return self._head(dict(zip(names, self._session.run(None, fed), strict=True)))

    def _described(self) -> list[TensorType]:
        """The outputs, under the names of the contract."""
        outputs = {each.name: each for each in self._session.get_outputs()}
        shapes = {name: _shape(each) for name, each in outputs.items()}
        types = {name: _datatype(each) for name, each in outputs.items()}
        return [
            TensorType(
                name,
                "FP32" if name in (PROBABILITIES, BOXES) else types[own],
                (-1, *shapes[own][1:]),
            )
            for own, name in self._head.names(shapes).items()
        ]


def _providers(device: str) -> list[str]:
    available = onnxruntime.get_available_providers()
    cuda, cpu = "CUDAExecutionProvider", "CPUExecutionProvider"
    if device == "cuda" and cuda not in available:
        raise ConfigurationError(
            f"--device cuda: this onnxruntime has {', '.join(available)}; install onnxruntime-gpu"
        )
    return [cuda, cpu] if device != "cpu" and cuda in available else [cpu]


def _shape(tensor: Any) -> tuple[int, ...]:
    """-1 where a length is free. Raises ConfigurationError for a tensor without rows."""
    if not tensor.shape:
        raise ConfigurationError(f"{tensor.name!r} is a single number; tensors need rows here")
    return tuple(each if isinstance(each, int) else -1 for each in tensor.shape)


def _datatype(tensor: Any) -> str:
    if tensor.type not in DATATYPES:
        hint = "; export with zipmap=False" if tensor.type.startswith("seq(") else ""
        raise ConfigurationError(f"{tensor.name!r} is {tensor.type}, which V2 lacks{hint}")
    return DATATYPES[tensor.type]
