"""The Engine: an Estimator in threads of this process."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any, Final, Literal, TypeVar, cast

from pydantic import AfterValidator, Field, SecretStr

from predictors.contract import BOX_FIELDS, BOXES, PROBABILITIES, Answer, Query, Sampling
from predictors.contract.query import SAMPLING
from predictors.contract.tensors import TensorRequest, TensorResponse, TensorType
from predictors.engines.base import EngineSettings, TensorEngine, TextEngine
from predictors.engines.sedna import estimator
from predictors.engines.sedna.results import (
    READERS,
    Result,
    answer_of,
    images_of,
    require,
    response_of,
)
from predictors.engines.side_by_side import side_by_side
from predictors.errors import EngineError, Overloaded, known
from predictors.upstream.settings import json_object

T = TypeVar("T")

OUTPUTS: Final[Mapping[str, tuple[int, ...]]] = {
    BOXES: (-1, -1, BOX_FIELDS),
    PROBABILITIES: (-1, -1),
}


def arguments(text: str) -> str:
    """Raises ValueError for what is not a parameter of the contract."""
    for _, ours in pairs(text):
        if ours not in SAMPLING:
            raise ValueError(f"unknown parameter {ours!r}; {known(ours, SAMPLING)}")
    return text


def pairs(text: str) -> list[tuple[str, str]]:
    """(the Estimator's name, the contract's)."""
    words = [word.strip() for word in text.split(",") if word.strip()]
    return [(word.partition("=")[0], word.rpartition("=")[2]) for word in words]


class SednaSettings(EngineSettings):
    estimator: str = Field(
        pattern=r".+:\w+$",
        description="the user's class: FILE.py:Class or package.module:Class",
    )
    model_dir: str = Field(
        "", description="what its load gets: a file or directory; MODEL_URL if empty"
    )
    estimator_parameters: SecretStr | None = Field(
        None, description="JSON object of what its constructor gets"
    )
    result: Result = Field("text", description="what its predict gives: text, boxes, probabilities")
    query_as: Literal["list", "text", "dict"] = Field(
        "list",
        description='how predict gets a query: ["..."] as in Sedna, "...", or {"query": "..."} as '
        "in Ianvs",
    )
    predict_parameters: Annotated[str, AfterValidator(arguments)] = Field(
        "",
        description="what else it gets: names of generation parameters, with commas; "
        "max_new_tokens=max_tokens where it has another name for one",
    )
    max_concurrency: int = Field(
        1,
        ge=1,
        description="calls of predict at once, each in a thread, where it allows that",
    )
    max_queue: int = Field(1024, ge=1, description="waiting requests; above it: 503")
    timeout: float = Field(
        300.0,
        gt=0,
        description="seconds for one call of predict; later: 500, and where every thread is late "
        "the process ends, to be started again",
    )


class SednaEngine(TextEngine, TensorEngine):
    """Each row is a call of `predict`; a row that fails is its caller's alone.

    A thread can't be stopped: a call whose caller is gone, or that is late, keeps its place until
    it returns.
    """

    Settings = SednaSettings

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        self._options = options = cast(SednaSettings, settings)
        self._threads = ThreadPoolExecutor(options.max_concurrency, thread_name_prefix="estimator")
        self._places = asyncio.Semaphore(options.max_concurrency)
        self._waiting = 0
        self._late: set[asyncio.Future[Any]] = set()

    async def start(self) -> None:
        options = self._options
        model = options.model_dir or os.environ.get("MODEL_URL", "")
        parameters = json_object(options, "estimator_parameters")
        self._predict = await asyncio.get_running_loop().run_in_executor(
            self._threads, estimator.loaded, options.estimator, model, parameters
        )

    def inputs(self) -> list[TensorType]:
        return [] if self._options.result == "text" else [TensorType("image", "UINT8", ())]

    def outputs(self) -> list[TensorType]:
        result = self._options.result
        return [] if result == "text" else [TensorType(result, "FP32", OUTPUTS[result])]

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        require("text", self._options.result)
        arguments = self._arguments(queries[0].sampling)
        return await self._rows([self._data(query.text) for query in queries], arguments, answer_of)

    async def infer(self, request: TensorRequest) -> TensorResponse:
        result = self._options.result
        require("tensors", result)
        images = images_of(request).copy()  # user code may write into them
        read = await self._rows(list(images), {}, READERS[result])
        try:
            return response_of(read, result)
        except ValueError as error:
            raise EngineError(f"{self._options.estimator}: {error}") from None

    def _data(self, text: str) -> Any:
        return {"list": [text], "text": text, "dict": {"query": text}}[self._options.query_as]

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        named = pairs(self._options.predict_parameters)
        return {theirs: getattr(sampling, ours) for theirs, ours in named}

    async def _rows(
        self, rows: Sequence[Any], arguments: Mapping[str, Any], read: Callable[[Any], T]
    ) -> list[T]:
        if self._waiting >= self._options.max_queue:
            raise Overloaded(f"{self._waiting} requests wait already")
        self._waiting += 1
        try:
            calls = (self._row(data, arguments, read) for data in rows)
            return await side_by_side(calls, self._options.max_concurrency)
        finally:
            self._waiting -= 1

    async def _row(self, data: Any, arguments: Mapping[str, Any], read: Callable[[Any], T]) -> T:
        await self._places.acquire()
        running = asyncio.get_running_loop().run_in_executor(
            self._threads, estimator.call, self._predict, data, arguments
        )
        running.add_done_callback(self._ended)
        await asyncio.wait([running], timeout=self._options.timeout)
        if not running.done():
            self._late.add(running)
            raise EngineError(f"{self._options.estimator}: {self._lateness()}")
        try:
            return read(running.result())
        except ValueError as error:
            raise EngineError(f"{self._options.estimator}: {error}") from None

    def _ended(self, running: "asyncio.Future[Any]") -> None:
        self._places.release()
        self._late.discard(running)
        if not running.cancelled():
            running.exception()  # of a caller who is gone: nobody else asks for it

    def _lateness(self) -> str:
        return f"predict has not returned within {self._options.timeout:g} s"

    def cause_of_death(self) -> str | None:
        all_late = len(self._late) >= self._options.max_concurrency
        return f"{self._lateness()}, in any thread" if all_late else None

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
