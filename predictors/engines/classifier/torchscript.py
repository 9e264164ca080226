"""TorchScript files, as torch.jit.save writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray

from predictors.contract.tensors import TensorType
from predictors.engines.classifier.head import Head
from predictors.engines.classifier.settings import ClassifierSettings
from predictors.engines.classifier.source import Arrays, Port, Source
from predictors.engines.classifier.torch_runtime import DATATYPES, prepare, to_arrays, to_tensors
from predictors.errors import ConfigurationError, InvalidRequest, first_line


class TorchScriptSource(Source):
    """Tensors by the names of forward()'s arguments. The file says neither shapes nor datatypes,
    so what doesn't fit shows when the model refuses it."""

    def __init__(self, path: Path, settings: ClassifierSettings) -> None:
        super().__init__(path, settings)
        self._device = prepare(settings)
        self._module = torch.jit.load(str(path), map_location=self._device).eval()
        self._head = Head(settings.output, settings.activation)
        floats = [p.dtype for p in self._module.parameters() if p.is_floating_point()]
        own = DATATYPES.get(floats[0] if floats else torch.float32, "FP32")
        datatypes = (own, *(each for each in DATATYPES.values() if each != own))
        self._inputs = [Port(name, datatypes, None) for name in self._arguments()]

    def _arguments(self) -> list[str]:
        arguments = self._module.forward.schema.arguments[1:]
        wanted = [each for each in arguments if not each.has_default_value()]
        for each in wanted:
            if str(each.type) != "Tensor":
                raise ConfigurationError(
                    f"model_dir {self.path}: forward() takes {each.name!r}, which is {each.type}; "
                    "V2 sends tensors"
                )
        return [each.name for each in wanted]

    @property
    def inputs(self) -> Sequence[Port]:
        return self._inputs

    @property
    def outputs(self) -> Sequence[TensorType]:
        """None: the file doesn't say."""
        return []

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        ordered = {port.name: inputs[port.name] for port in self._inputs}
        try:
            with torch.inference_mode():
                result = self._module(*to_tensors(ordered, self._device))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            shapes = ", ".join(f"{name!r} {list(v.shape)}" for name, v in ordered.items())
            raise InvalidRequest(f"the model can't take {shapes}: {_reason(error)}") from error
        return self._head(to_arrays(result))


def _reason(error: RuntimeError) -> str:
    """TorchScript writes a traceback; what went wrong is its last line."""
    lines = [line for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("RuntimeError: ") if lines else first_line(error)
