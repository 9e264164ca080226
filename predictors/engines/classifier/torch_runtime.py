"""What the models that torch runs have in common: device, threads, arrays in and out."""

from collections.abc import Mapping
from typing import Any, Final

import torch
from numpy.typing import NDArray

from predictors.engines.classifier.settings import ClassifierSettings
from predictors.engines.classifier.source import cpu_threads
from predictors.errors import ConfigurationError, EngineError

DATATYPES: Final[Mapping[torch.dtype, str]] = {
    torch.bool: "BOOL",
    torch.uint8: "UINT8",
    torch.int8: "INT8",
    torch.int16: "INT16",
    torch.int32: "INT32",
    torch.int64: "INT64",
    torch.float16: "FP16",
    torch.float32: "FP32",
    torch.float64: "FP64",
}


def prepare(settings: ClassifierSettings) -> str:
    """Sets torch's threads; the device to run on. Raises ConfigurationError where it is absent."""
    if threads := cpu_threads(settings):
        torch.set_num_threads(threads)
    there = torch.cuda.is_available()
    if settings.device == "cuda" and not there:
        raise ConfigurationError("--device cuda: torch finds no GPU here")
    return "cuda" if there and settings.device != "cpu" else "cpu"


def to_tensors(arrays: Mapping[str, NDArray[Any]], device: str) -> list[torch.Tensor]:
    """Copies: what came over the wire is read-only."""
    return [torch.tensor(values, device=device) for values in arrays.values()]


def to_arrays(result: Any) -> dict[str, NDArray[Any]]:
    """What a module returned, by its own names, else `output`, `output_0`, `output_1`, ...

    Raises EngineError for what is no tensor.
    """
    if isinstance(result, torch.Tensor):
        named = {"output": result}
    elif isinstance(result, Mapping):
        named = dict(result)
    elif isinstance(result, tuple | list):
        named = {f"output_{index}": each for index, each in enumerate(result)}
    else:
        named = {"output": result}
    for name, value in named.items():
        if not isinstance(value, torch.Tensor):
            raise EngineError(f"the model's {name!r} is {type(value).__name__}, no tensor")
    return {name: _array(value) for name, value in named.items()}


def _array(tensor: torch.Tensor) -> NDArray[Any]:
    found = tensor.detach().cpu()
    array: NDArray[Any] = (found.float() if found.dtype == torch.bfloat16 else found).numpy()
    return array
