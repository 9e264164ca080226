"""Forwards V2 to a model in Triton, text or tensors, and adds what the contract wants of an answer.

What the model is (its tensors, whether it is decoupled) is asked for at the first request and again
after a failure: Triton may come later than this predictor, and with another model.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeVar

from predictors.contract import (
    HEM_PREFIX,
    Answer,
    Query,
    Scalar,
)
from predictors.contract.tensors import (
    TensorRequest,
    TensorResponse,
    TensorType,
)
from predictors.engines.base import TensorEngine, TextEngine
from predictors.engines.side_by_side import side_by_side
from predictors.engines.triton.client import Described, Tensors, TritonClient
from predictors.engines.triton.gathering import StreamedAnswer, row_answers
from predictors.engines.triton.over_grpc import GrpcClient
from predictors.engines.triton.over_http import HttpClient
from predictors.engines.triton.settings import TritonSettings
from predictors.engines.triton.text import (
    STREAM,
    answers_text,
    check_text,
    takes_rows,
    text_inputs,
    text_parameters,
    without_floats,
)
from predictors.errors import HEMError, InvalidRequest, UpstreamError
from predictors.settings import EngineSettings
from predictors.upstream.attempt import reading
from predictors.upstream.call import Upstream

T = TypeVar("T")
logger = logging.getLogger("kserve.hem")

CLIENTS: Final[Mapping[str, type[TritonClient]]] = {"grpc": GrpcClient, "http": HttpClient}
# kserve asks for health at each request; Triton is asked this often, and for this long at most.
WATCH_SECONDS: Final = 1.0
WATCH_TIMEOUT_SECONDS: Final = 5.0
# Parameters with a meaning of their own to Triton; its client refuses them.
RESERVED: Final = frozenset(
    {"sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "headers"}
    | {"binary_data_output"}
)


class TritonEngine(TextEngine, TensorEngine):
    """One call per row where the model takes single queries, else one for all rows."""

    Settings: ClassVar[type[EngineSettings]] = TritonSettings

    def __init__(self, settings: TritonSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._known: Described | None = None
        self._stale = False
        self._ready = False
        self._client: TritonClient | None = None
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        settings = self._settings
        self._client = CLIENTS[settings.transport](settings)
        self._upstream = Upstream(settings.location, settings)
        await self._look()
        self._watcher = asyncio.create_task(self._watch())

    async def healthy(self) -> bool:
        return self._settings.ready_when == "always" or self._ready

    async def close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        if self._client is not None:
            await self._client.close()

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        model = await self._model()
        check_text(model)
        if takes_rows(model):
            return await self._call(self._rows, model, queries)
        if model.decoupled:
            began = time.perf_counter()
            return await side_by_side(
                self._call(self._streamed, model, query, began) for query in queries
            )
        rows = await side_by_side(self._call(self._rows, model, [query]) for query in queries)
        return [answer for answers in rows for answer in answers]

    async def infer(self, request: TensorRequest) -> TensorResponse:
        model = await self._model()
        _check_names("input", request.inputs, model.inputs, model)
        _check_names("output", request.outputs, model.outputs, model)
        outputs = await self._call(self._tensors, model, request)
        return TensorResponse(outputs, served_by=model.name)

    def inputs(self) -> list[TensorType]:
        model = self._tensor_model()
        return list(model.inputs.values()) if model else []

    def outputs(self) -> list[TensorType]:
        model = self._tensor_model()
        return list(model.outputs.values()) if model else []

    async def _model(self) -> Described:
        assert self._client is not None, "start() comes first"
        if self._known is None or self._stale:
            self._known = await self._upstream.call(self._client.describe)
            self._stale = False
        return self._known

    async def _call(self, attempt: Callable[..., Awaitable[T]], *arguments: Any) -> T:
        try:
            return await self._upstream.call(lambda: attempt(*arguments))
        except HEMError:
            self._stale = True
            raise

    async def _rows(self, model: Described, queries: Sequence[Query]) -> list[Answer]:
        assert self._client is not None
        response = await self._client.infer(*self._request(model, queries))
        with reading(self._settings.location):
            return row_answers(response, len(queries), model.name)

    async def _streamed(self, model: Described, query: Query, began: float) -> Answer:
        assert self._client is not None
        inputs, parameters = self._request(model, [query])
        answer = StreamedAnswer(began, streamed=STREAM in inputs)
        async with contextlib.aclosing(self._client.stream(inputs, parameters)) as responses:
            async for response in responses:
                with reading(self._settings.location):
                    answer.add(response, time.perf_counter())
        return answer.answer(model.name)

    async def _tensors(self, model: Described, request: TensorRequest) -> Tensors:
        assert self._client is not None
        parameters = _forwarded(request.parameters)
        if not model.decoupled:
            return await self._client.infer(request.inputs, parameters, request.outputs)
        async with contextlib.aclosing(self._client.stream(request.inputs, parameters)) as stream:
            responses = [response async for response in stream]
        if len(responses) != 1:
            raise UpstreamError(
                f"decoupled model {model.name!r} gave {len(responses)} responses to one request, "
                "but V2 carries one"
            )
        return responses[0]

    def _request(
        self, model: Described, queries: Sequence[Query]
    ) -> tuple[Tensors, dict[str, Scalar]]:
        template, sampling = self._settings.prompt_template, queries[0].sampling
        texts = [query.text for query in queries]
        prompts = [template.replace("{query}", text) for text in texts] if template else texts
        return text_inputs(model, prompts, sampling), text_parameters(model, sampling)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await self._look()

    async def _look(self) -> None:
        """Sets whether the model is ready, and learns what it is once it is."""
        settings, client = self._settings, self._client
        assert client is not None
        try:
            async with asyncio.timeout(min(WATCH_TIMEOUT_SECONDS, settings.timeout)):
                ready = await client.ready()
                if ready and self._known is None:
                    self._known = await client.describe()
            reason = "ready" if ready else "not ready"
        except (HEMError, TimeoutError) as error:
            ready, reason = False, str(error) or "no answer"
        if ready != self._ready or self._watcher is None:
            logger.info("model %s of %s: %s", settings.upstream_model, settings.location, reason)
        self._ready = ready

    def _tensor_model(self) -> Described | None:
        known = self._known
        return None if known is None or answers_text(known) else known


def _check_names(
    kind: str, names: Iterable[str], known: Mapping[str, TensorType], model: Described
) -> None:
    for name in names:
        if name not in known:
            raise InvalidRequest(f"unknown {kind} {name!r}; {model}")


def _forwarded(parameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return without_floats(
        {
            name: value
            for name, value in parameters.items()
            if name not in RESERVED and not name.startswith((HEM_PREFIX, "triton_"))
        }
    )
