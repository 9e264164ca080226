"""Files of torch: TorchScript (torch.jit.save) and torch.export (torch.export.save)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from numpy.typing import NDArray
from torch.export.passes import move_to_device_pass

from predictors.engines.classifier.head import Head
from predictors.engines.classifier.settings import ClassifierSettings
from predictors.engines.classifier.source import Arrays, Port, Source, common_batch, cpu_threads
from predictors.errors import ConfigurationError, EngineError, InvalidRequest, first_line

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


def prepare_torch(settings: ClassifierSettings) -> str:
    """Sets torch's threads, and returns the device to run on. Raises ConfigurationError where that
    device is absent."""
    if threads := cpu_threads(settings):
        torch.set_num_threads(threads)
    has_gpu = torch.cuda.is_available()
    if settings.device == "cuda" and not has_gpu:
        raise ConfigurationError("--device cuda: torch finds no GPU here")
    return "cuda" if has_gpu and settings.device != "cpu" else "cpu"


class TorchSource(Source):
    """A module of torch whose inputs are tensors by the names of forward()'s arguments."""

    module: Any

    def __init__(self, path: Path, settings: ClassifierSettings) -> None:
        self.path = path
        self.device = prepare_torch(settings)
        self.head = Head(settings.output, settings.activation)

    def compute(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        # Copies, as what came over the wire is read-only.
        ordered = [torch.tensor(inputs[port.name], device=self.device) for port in self.inputs]
        with torch.inference_mode():
            result = self.module(*ordered)
        return self.head(_arrays(result))


class TorchScriptSource(TorchSource):
    """The file gives neither shapes nor datatypes, so what doesn't fit shows when the model refuses
    it."""

    def __init__(self, path: Path, settings: ClassifierSettings) -> None:
        super().__init__(path, settings)
        self.module = torch.jit.load(str(path), map_location=self.device).eval()
        floats = [p.dtype for p in self.module.parameters() if p.is_floating_point()]
        own = DATATYPES.get(floats[0] if floats else torch.float32, "FP32")
        datatypes = (own, *(each for each in DATATYPES.values() if each != own))
        self.inputs = [Port(name, datatypes, None) for name in self._arguments()]

    def _arguments(self) -> list[str]:
        arguments = self.module.forward.schema.arguments[1:]
        required = [each for each in arguments if not each.has_default_value()]
        for each in required:
            if str(each.type) != "Tensor":
                raise ConfigurationError(
                    f"model_dir {self.path}: forward() takes {each.name!r}, which is {each.type}; "
                    "V2 sends tensors"
                )
        return [each.name for each in required]

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        try:
            return self.compute(inputs)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            shapes = ", ".join(f"{name!r} {list(v.shape)}" for name, v in inputs.items())
            # TorchScript writes a traceback; what went wrong is its last line.
            lines = [line for line in str(error).splitlines() if line.strip()]
            reason = lines[-1].removeprefix("RuntimeError: ") if lines else first_line(error)
            raise InvalidRequest(f"the model can't take {shapes}: {reason}") from error


class ExportedSource(TorchSource):
    """Inputs have the shapes that the model was exported with."""

    def __init__(self, path: Path, settings: ClassifierSettings) -> None:
        super().__init__(path, settings)
        program = torch.export.load(path)
        if self.device != "cpu":
            program = move_to_device_pass(program, self.device)
        self.module = program.module()
        values = {node.name: node.meta.get("val") for node in program.graph.nodes}
        inputs = {str(name): values.get(str(name)) for name in program.graph_signature.user_inputs}
        self.inputs = [self._port(name, value) for name, value in inputs.items()]
        self.batch = common_batch([_shape(value)[0] for value in inputs.values()])

    def run(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        try:
            return self.compute(inputs)
        except AssertionError as error:  # a guard: the range of a dynamic length
            raise InvalidRequest(f"the model can't take this: {first_line(error)}") from error

    def _port(self, name: str, value: Any) -> Port:
        is_tensor = isinstance(value, torch.Tensor)
        if not is_tensor or value.dtype not in DATATYPES or not value.dim():
            what = f"{value.dtype} {list(value.shape)}" if is_tensor else value
            raise ConfigurationError(
                f"model_dir {self.path}: input {name!r} is {what}; V2 sends tensors with rows"
            )
        return Port(name, (DATATYPES[value.dtype],), (-1, *_shape(value)[1:]))


def _shape(value: Any) -> tuple[int, ...]:
    """Of a fake tensor; -1 where a length is free."""
    return tuple(each if isinstance(each, int) else -1 for each in value.shape)


def _arrays(result: Any) -> dict[str, NDArray[Any]]:
    """What a module returned, by its own names, else `output`, `output_0`, `output_1`, ...

    Raises EngineError for a value that is not a tensor.
    """
    if isinstance(result, Mapping):
        named = dict(result)
    elif isinstance(result, tuple | list):
        named = {f"output_{index}": each for index, each in enumerate(result)}
    else:
        named = {"output": result}
    return {name: _array(name, value) for name, value in named.items()}


def _array(name: str, value: Any) -> NDArray[Any]:
    if not isinstance(value, torch.Tensor):
        raise EngineError(f"the model's {name!r} is {type(value).__name__}, not a tensor")
    on_cpu = value.detach().cpu()
    array: NDArray[Any] = (on_cpu.float() if on_cpu.dtype == torch.bfloat16 else on_cpu).numpy()
    return array
