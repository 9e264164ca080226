"""The predictor: one kserve model in front of one engine."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import FastAPI
from kserve import InferRequest, InferResponse

from predictors.contract import TEXT_INPUT, Sampling
from predictors.contract.codec import (
    TEXT_OUTPUTS,
    decode_request,
    encode_answers,
    grpc_error,
    has_text,
    request_parameters,
)
from predictors.contract.query import parse_prefer
from predictors.contract.tensor_codec import decode_tensors, encode_tensors
from predictors.contract.tensors import BYTES, TensorType
from predictors.engines.base import Engine, TensorEngine, TextEngine
from predictors.errors import EngineError, HEMError, InvalidRequest, NotReady
from predictors.serving.answers import Answers
from predictors.serving.life import ServedModel
from predictors.serving.openai_routes import OpenAIRoutes
from predictors.serving.speculation_routes import SpeculationRoutes
from predictors.tracing.genai import COMPLETION
from predictors.upstream.client import forwarded_headers
from predictors.upstream.ledger.decision import decided, wished
from predictors.upstream.tenant import tenant, tenant_of

logger = logging.getLogger("kserve.hem")

WATCH_SECONDS: Final = 1.0  # between looks at whether the engine lives
FAREWELL_SECONDS: Final = 1.0  # from its death to the process's: clients in flight get an error


class PredictorModel(ServedModel):
    """decode -> engine.generate, or engine.infer -> encode, over V2 REST and gRPC.

    Live as soon as the server listens, ready once the engine can answer. `sampling` holds what a
    request's missing parameters are.
    """

    def __init__(
        self,
        name: str,
        engine: Engine,
        sampling: Sampling,
        *,
        aliases: Sequence[str] = (),
        first_event_seconds: float = 15.0,
    ) -> None:
        super().__init__(name)
        self._openai = (aliases, first_event_seconds)
        self._answers = Answers(name, remote=engine.remote)
        self._engine = engine
        self._sampling = sampling
        self._answers_text = isinstance(engine, TextEngine)
        self._reads_route = isinstance(engine, TextEngine) and engine.reads_route
        self._started = False
        self._cause_of_death: str | None = None
        self.ready = True  # kserve registers only ready models; healthy() tells the truth

    def add_routes(self, app: FastAPI) -> None:
        """OpenAI's, where the engine answers text; those of speculation, where it checks drafts."""
        if isinstance(self._engine, TextEngine):
            aliases, seconds = self._openai
            routes = OpenAIRoutes(
                self.name,
                self._engine,
                self._sampling,
                self._check_started,
                aliases,
                seconds,
                self._answers,
            )
            routes.add_to(app)
        if (checker := self._engine.draft_checker) is not None:
            SpeculationRoutes(self.name, checker, self._check_started).add_to(app)

    async def load_and_watch(self) -> None:
        """Raises the engine's ConfigurationError, or EngineError when it has died; both end the
        process."""
        await self._engine.start()
        self._started = True
        logger.info("model %s is ready", self.name)
        while (cause := self._engine.cause_of_death()) is None:
            await asyncio.sleep(WATCH_SECONDS)
        self._cause_of_death = cause
        self._started = False
        await asyncio.sleep(FAREWELL_SECONDS)
        raise EngineError(f"model {self.name!r} can't answer any more: {cause}")

    async def close(self) -> None:
        self._started = False
        await self._engine.close()

    def loaded(self) -> bool:
        return self._started

    def alive(self) -> bool:
        return self._cause_of_death is None

    async def healthy(self) -> bool:
        return self._started and await self._engine.healthy()

    def get_input_types(self) -> list[dict[str, Any]]:
        """Without tensors while the engine loads: only a started engine knows them."""
        tensors = self._tensors.inputs() if self._tensors else []
        return self._metadata(tensors, {TEXT_INPUT: BYTES})

    def get_output_types(self) -> list[dict[str, Any]]:
        tensors = self._tensors.outputs() if self._tensors else []
        return self._metadata(tensors, TEXT_OUTPUTS)

    def _metadata(self, types: list[TensorType], text: Mapping[str, str]) -> list[dict[str, Any]]:
        if not types and self._answers_text:
            types = [TensorType(name, datatype, (-1,)) for name, datatype in text.items()]
        return [{"name": t.name, "datatype": t.datatype, "shape": list(t.shape)} for t in types]

    @property
    def _tensors(self) -> TensorEngine | None:
        """The engine, where it answers tensors and has started."""
        engine = self._engine
        return engine if self._started and isinstance(engine, TensorEngine) else None

    async def predict(
        self,
        payload: InferRequest | dict[str, Any],
        headers: Mapping[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> InferResponse:
        if not isinstance(payload, InferRequest):
            raise InvalidRequest(f"send a V2 request to /v2/models/{self.name}/infer")
        try:
            parameters: Mapping[str, Any] = request_parameters(payload)
            if self._reads_route:
                parse_prefer(parameters)
                parameters = wished(parameters)
            with forwarded_headers(headers), decided(parameters), tenant(tenant_of(headers)):
                return await self._answer(payload)
        except HEMError as error:
            if payload.from_grpc:
                raise grpc_error(error) from error
            raise

    async def _answer(self, request: InferRequest) -> InferResponse:
        """kserve refuses REST requests while the model isn't ready; this refuses gRPC ones."""
        self._check_started()
        engine = self._engine
        if isinstance(engine, TensorEngine) and not (self._answers_text and has_text(request)):
            with self._answers.tensors():
                response = await engine.infer(decode_tensors(request))
            return encode_tensors(request, response, self.name)
        assert isinstance(engine, TextEngine)
        queries = decode_request(request, self._sampling)
        with self._answers.text(COMPLETION, len(queries)) as call:
            answers = await engine.generate(queries)
            call.gave(answers)
        return encode_answers(request, answers, self.name)

    def _check_started(self) -> None:
        if not self._started:
            raise NotReady(f"model {self.name!r} is not ready")
