"""Asks a model in Triton, by text or by tensors.

The engine learns what the model is (its tensors, whether it is decoupled) as soon as Triton is
ready, and again after a failure: Triton may start later than this predictor, or come back with
another model.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from predictors.contract import HEM_PREFIX, Answer, Delta, Query, Scalar, grpc_scalars
from predictors.contract.tensors import TensorRequest, TensorResponse, TensorType
from predictors.engines.base import TensorEngine, TextEngine
from predictors.engines.side_by_side import side_by_side
from predictors.engines.triton.client import TritonGRPC, TritonModel, TritonREST, refused
from predictors.engines.triton.gathering import StreamedAnswer, row_answers
from predictors.engines.triton.settings import TritonSettings
from predictors.engines.triton.text import (
    STREAM,
    answers_text,
    check_text,
    takes_rows,
    text_inputs,
    text_parameters,
)
from predictors.errors import HEMError, InvalidRequest, UpstreamError
from predictors.upstream.parts import Give, parts
from predictors.upstream.v2 import V2Model

T = TypeVar("T")
logger = logging.getLogger("kserve.hem")

CLIENTS: Final[Mapping[str, type[TritonGRPC | TritonREST]]] = {
    "grpc": TritonGRPC,
    "http": TritonREST,
}
# kserve asks for health at each request; Triton is asked this often, and for this long at most.
WATCH_SECONDS: Final = 1.0
WATCH_TIMEOUT_SECONDS: Final = 5.0
# Parameters that mean something of their own to Triton, as do those that begin with `triton_`.
RESERVED: Final = frozenset(
    {"sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "headers"}
    | {"binary_data_output"}
)


class TritonEngine(TextEngine, TensorEngine):
    """One call per row where the model takes single queries, else one for all rows. Decoupled
    models stream; any other has whole answers only."""

    Settings = TritonSettings
    remote = True
    _client: TritonGRPC | TritonREST

    def __init__(self, settings: TritonSettings) -> None:
        super().__init__(settings)
        self._settings = settings
        self._known: TritonModel | None = None
        self._stale = False
        self._ready = False
        self._watcher: asyncio.Task[None] | None = None

    async def start(self) -> None:
        settings = self._settings
        model = V2Model(
            settings.location,
            settings.upstream_model,
            settings.model_version,
            ca_bundle=settings.ca_bundle,
            client_cert=settings.client_cert,
            client_key=settings.client_key,
        )
        self._client = CLIENTS[settings.transport](
            model, settings, partial(refused, model=model.name)
        )
        self._client.watch()
        await self._look()
        self._watcher = asyncio.create_task(self._watch())

    async def healthy(self) -> bool:
        return self._settings.ready_when == "always" or self._ready

    async def close(self) -> None:
        if self._watcher is not None:
            self._watcher.cancel()
        if hasattr(self, "_client"):
            await self._client.close()

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        model = await self._model()
        check_text(model)
        if takes_rows(model):
            return await self._rows(model, queries)
        if model.transactions.decoupled:
            began = time.perf_counter()
            gathered = (self._gathered(model, query, began) for query in queries)
            return await side_by_side(gathered, self._settings.max_concurrency)
        asked = (self._rows(model, [query]) for query in queries)
        rows = await side_by_side(asked, self._settings.max_concurrency)
        return [answer for answers in rows for answer in answers]

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        began = time.perf_counter()
        model = await self._model()
        if not model.transactions.decoupled:
            coming = super().stream(query)
        else:
            check_text(model)
            coming = parts(lambda give: self._streamed(model, query, began, give))
        async with aclosing(coming) as deltas:
            async for delta in deltas:
                yield delta

    async def infer(self, request: TensorRequest) -> TensorResponse:
        model = await self._model()
        _check_names("input", request.inputs, model.inputs, model)
        _check_names("output", request.outputs, model.outputs, model)
        request = replace(request, parameters=_forwarded(request.parameters))
        if model.transactions.decoupled:
            return await self._noticed(self._client.stream(request, _only_one))
        return await self._noticed(self._client.infer_tensors(request))

    def inputs(self) -> list[TensorType]:
        model = self._tensor_model()
        return list(model.inputs.values()) if model else []

    def outputs(self) -> list[TensorType]:
        model = self._tensor_model()
        return list(model.outputs.values()) if model else []

    async def _model(self) -> TritonModel:
        if self._known is None or self._stale:
            self._known = await self._described()
            self._stale = False
        return self._known

    async def _described(self) -> TritonModel:
        metadata = await self._client.metadata()
        transactions = await self._client.transactions()
        name = self._settings.upstream_model
        return TritonModel(name, metadata.inputs, metadata.outputs, transactions)

    async def _noticed(self, call: Awaitable[T]) -> T:
        """What the call returns. After a failure the engine asks again what the model is."""
        try:
            return await call
        except HEMError:
            self._stale = True
            raise

    async def _rows(self, model: TritonModel, queries: Sequence[Query]) -> list[Answer]:
        call = self._client.infer(
            self._request(model, queries),
            lambda response: row_answers(response.outputs, len(queries), model.name),
        )
        return await self._noticed(call)

    async def _gathered(self, model: TritonModel, query: Query, began: float) -> Answer:
        last = await self._streamed(model, query, began)
        assert last.answer is not None
        return last.answer

    async def _streamed(
        self, model: TritonModel, query: Query, began: float, give: Give | None = None
    ) -> Delta:
        """The last part of an answer; those before it go to `give`, and where nobody takes them the
        last part is all."""
        request = self._request(model, [query])

        async def read(responses: AsyncIterator[TensorResponse]) -> Delta:
            streamed, grows = STREAM in request.inputs, model.transactions.grows
            answer = StreamedAnswer(began, streamed=streamed, grows=grows)
            async for response in responses:
                answer.add(response.outputs, time.perf_counter())
                if give is not None and (text := answer.new()):
                    await give(Delta(text, served_by=model.name))
            return answer.last(model.name, query.sampling.max_tokens)

        return await self._noticed(self._client.stream(request, read))

    def _request(self, model: TritonModel, queries: Sequence[Query]) -> TensorRequest:
        template, sampling = self._settings.prompt_template, queries[0].sampling
        texts = [query.text for query in queries]
        prompts = [template.replace("{query}", text) for text in texts] if template else texts
        inputs = text_inputs(model, prompts, sampling)
        return TensorRequest(inputs, text_parameters(model, sampling))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            await self._look()

    async def _look(self) -> None:
        """Learns whether the model is ready, and when it first is, what it is."""
        settings = self._settings
        try:
            async with asyncio.timeout(min(WATCH_TIMEOUT_SECONDS, settings.timeout)):
                ready = await self._client.ready()
                if ready and self._known is None:
                    self._known = await self._described()
            reason = "ready" if ready else "not ready"
        except (HEMError, TimeoutError) as error:
            ready, reason = False, str(error) or "no answer"
        if ready != self._ready or self._watcher is None:
            logger.info("model %s of %s: %s", settings.upstream_model, settings.location, reason)
        self._ready = ready

    def _tensor_model(self) -> TritonModel | None:
        known = self._known
        return None if known is None or answers_text(known) else known


async def _only_one(responses: AsyncIterator[TensorResponse]) -> TensorResponse:
    every = [response async for response in responses]
    if len(every) != 1:
        raise UpstreamError(
            f"the decoupled model gave {len(every)} responses to one request, but V2 carries one"
        )
    return every[0]


def _check_names(
    kind: str, names: Iterable[str], known: Mapping[str, TensorType], model: TritonModel
) -> None:
    for name in names:
        if name not in known:
            raise InvalidRequest(f"unknown {kind} {name!r}; {model}")


def _forwarded(parameters: Mapping[str, Scalar]) -> dict[str, Scalar]:
    return grpc_scalars(
        {
            name: value
            for name, value in parameters.items()
            if name not in RESERVED and not name.startswith((HEM_PREFIX, "triton_"))
        }
    )
