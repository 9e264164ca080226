"""torch.export files (.pt2), as torch.export.save writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from torch.export.passes import move_to_device_pass

from predictors.contract.tensors import TensorType
from predictors.engines.classifier.head import Head
from predictors.engines.classifier.settings import ClassifierSettings
from predictors.engines.classifier.source import Arrays, Port, Source, common_batch
from predictors.engines.classifier.torch_runtime import DATATYPES, prepare, to_arrays, to_tensors
from predictors.errors import ConfigurationError, InvalidRequest, first_line


class ExportedSource(Source):
    """Tensors by the names of forward()'s arguments, of the shapes that it was exported with."""

    def __init__(self, path: Path, settings: ClassifierSettings) -> None:
        super().__init__(path, settings)
        self._device = prepare(settings)
        program = torch.export.load(path)
        if self._device != "cpu":
            program = move_to_device_pass(program, self._device)
        self._module = program.module()
        self._head = Head(settings.output, settings.activation)
        values = {node.name: node.meta.get("val") for node in program.graph.nodes}
        found = {name: values.get(str(name)) for name in program.graph_signature.user_inputs}
        self._inputs = [self._port(str(name), value) for name, value in found.items()]
        self._batch = common_batch([_shape(value)[0] for value in found.values()])

    @property
    def inputs(self) -> Sequence[Port]:
        return self._inputs

    @property
    def outputs(self) -> Sequence[TensorType]:
        """None: they are named when the model runs."""
        return []

    @property
    def batch(self) -> int | None:
        return self._batch

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        ordered = {port.name: inputs[port.name] for port in self._inputs}
        try:
            with torch.inference_mode():
                result = self._module(*to_tensors(ordered, self._device))
        except AssertionError as error:  # a guard: the range of a dynamic length
            raise InvalidRequest(f"the model can't take this: {first_line(error)}") from error
        return self._head(to_arrays(result))

    def _port(self, name: str, value: Any) -> Port:
        if not isinstance(value, torch.Tensor) or value.dtype not in DATATYPES or not value.dim():
            what = (
                f"{value.dtype} {list(value.shape)}" if isinstance(value, torch.Tensor) else value
            )
            raise ConfigurationError(
                f"model_dir {self.path}: input {name!r} is {what}; V2 sends tensors with rows"
            )
        return Port(name, (DATATYPES[value.dtype],), (-1, *_shape(value)[1:]))


def _shape(value: Any) -> tuple[int, ...]:
    """Of a fake tensor; -1 where a length is free."""
    return tuple(each if isinstance(each, int) else -1 for each in value.shape)
