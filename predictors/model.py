"""The predictor: one kserve model in front of one engine."""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from kserve import InferRequest, InferResponse, Model

from predictors.codec import decode_request, encode_answers
from predictors.engines.base import Engine
from predictors.errors import HEMError, InvalidRequest
from predictors.grpc_status import to_grpc
from predictors.http_client import forwarded_headers
from predictors.protocol import TELEMETRY, TEXT_INPUT, TEXT_OUTPUT, Sampling

logger = logging.getLogger("kserve.hem")


class PredictorModel(Model):
    """decode -> engine.generate -> encode, over V2 REST and gRPC.

    Live as soon as the server listens, ready once the engine can answer. `sampling` holds the
    defaults of requests that don't say.
    """

    def __init__(self, name: str, engine: Engine, sampling: Sampling) -> None:
        super().__init__(name)
        self._engine = engine
        self._sampling = sampling
        self._started = False
        self.engine = True  # kserve then awaits start_engine beside its servers
        self.ready = True  # kserve registers only ready models; healthy() tells the truth

    def start(self) -> None:
        """Nothing to do before the event loop runs; see start_engine."""

    async def start_engine(self) -> None:
        """Loads the engine. Its ConfigurationError ends the process."""
        try:
            await self._engine.start()
        except BaseException:
            await self._engine.close()
            raise
        self._started = True
        logger.info("model %s is ready", self.name)

    def stop_engine(self) -> None:
        self._started = False
        self._closing = asyncio.ensure_future(self._engine.close())

    async def healthy(self) -> bool:
        return self._started and await self._engine.healthy()

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": TEXT_INPUT, "datatype": "BYTES", "shape": [-1]}]

    def get_output_types(self) -> list[dict[str, Any]]:
        outputs = {TEXT_OUTPUT: "BYTES", **TELEMETRY}
        return [{"name": n, "datatype": d, "shape": [-1]} for n, d in outputs.items()]

    async def predict(
        self,
        payload: InferRequest | dict[str, Any],
        headers: Mapping[str, str] | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> InferResponse:
        if not isinstance(payload, InferRequest):
            raise InvalidRequest(f"send a V2 request to /v2/models/{self.name}/infer")
        try:
            queries = decode_request(payload, self._sampling)
            with forwarded_headers(headers):
                answers = await self._engine.generate(queries)
            return encode_answers(payload, answers, self.name)
        except HEMError as error:
            if payload.from_grpc:
                raise to_grpc(error) from error
            raise
