"""The Engine: tensors in, probabilities or boxes out."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from numpy.typing import NDArray

from predictors.contract import BOXES, PROBABILITIES
from predictors.contract.tensors import (
    Tensor,
    TensorRequest,
    TensorResponse,
    TensorType,
)
from predictors.digits import PREFIX as DIGITS
from predictors.engines.base import TensorEngine
from predictors.engines.checkpoint import is_local
from predictors.engines.classifier.find import SOURCES, find
from predictors.engines.classifier.rows import (
    checked,
    joined,
    pieces,
)
from predictors.engines.classifier.settings import ClassifierSettings
from predictors.engines.classifier.source import Arrays, Source
from predictors.errors import ConfigurationError, EngineError, HEMError, Overloaded, first_line


class ClassifierEngine(TensorEngine):
    """A discriminative model in one thread of its own; requests wait in the order that they came.

    The constructor raises ConfigurationError where a model on this machine is of an unknown kind.
    """

    Settings = ClassifierSettings

    def __init__(self, settings: ClassifierSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="classifier")
        self._waiting = 0
        self._source: Source | None = None
        if settings.model_dir.startswith(DIGITS) or is_local(settings.model_dir):
            find(settings.model_dir, settings.revision)

    async def start(self) -> None:
        self._source = await asyncio.wrap_future(self._thread.submit(self._load))

    def _load(self) -> Source:
        kind, path = find(self._settings.model_dir, self._settings.revision)
        source = SOURCES.load(kind)
        try:
            return source(path, self._settings)
        except HEMError:
            raise
        except Exception as error:  # each library raises what it likes about a broken file
            raise ConfigurationError(
                f"model_dir {path} is not a valid {kind} model: {first_line(error)}"
            ) from error

    def inputs(self) -> list[TensorType]:
        return [port.metadata() for port in self._started.inputs]

    def outputs(self) -> list[TensorType]:
        return list(self._started.outputs)

    async def infer(self, request: TensorRequest) -> TensorResponse:
        arrays = checked(request.inputs, self._started.inputs, self._settings.missing_values)
        if self._waiting >= self._settings.max_queue:
            raise Overloaded(f"{self._waiting} requests wait already")
        self._waiting += 1
        try:
            outputs = await self._in_turn(arrays)
        finally:
            self._waiting -= 1
        tensors = {name: Tensor.of(values) for name, values in outputs.items()}
        for name in (PROBABILITIES, BOXES):
            if name in tensors and not tensors[name].is_finite():
                raise EngineError(f"the model computed NaN or infinity instead of {name}")
        return TensorResponse(tensors)

    async def _in_turn(self, arrays: Arrays) -> dict[str, NDArray[Any]]:
        """All pieces are in the queue at once; those that have not begun leave it where the caller
        does, or where one fails."""
        queued = [
            asyncio.wrap_future(self._thread.submit(self._run, piece))
            for piece in pieces(arrays, self._settings.max_batch_size, self._started.batch)
        ]
        rows = len(next(iter(arrays.values())))
        try:
            return joined(await asyncio.gather(*queued), rows)
        except BaseException:
            for each in queued:
                each.cancel()
            raise

    def _run(self, piece: Arrays) -> dict[str, NDArray[Any]]:
        try:
            return self._started.run(piece)
        except ConfigurationError as error:
            raise EngineError(str(error)) from error
        except HEMError:
            raise
        except Exception as error:  # each library raises what it likes
            raise EngineError(f"the model failed: {first_line(error)}") from error

    @property
    def _started(self) -> Source:
        assert self._source is not None, "start() comes first"
        return self._source

    async def healthy(self) -> bool:
        return self._source is not None

    async def close(self) -> None:
        """A piece that runs is not waited for: it can't be stopped, and nobody needs it."""
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._source = None
