"""HEM in front of an edge model, whose answer it sees."""

import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
from kserve import InferOutput, InferRequest, InferResponse

from predictors.contract import hem_parameters, parse_prefer
from predictors.contract.codec import (
    TEXT_OUTPUTS,
    build_response,
    has_text,
    request_json,
    request_parameters,
    request_texts,
    wanted_outputs,
    without,
)
from predictors.errors import HEMError, NotReady
from predictors.upstream.redaction import unrepeated
from transformers_hem.algorithms.base import Batch, ExtraAnswers
from transformers_hem.serving.answer_batch import answer_batch, named_outputs
from transformers_hem.serving.decision import DECIDED, Decider
from transformers_hem.serving.predictor_client import PredictorClient
from transformers_hem.serving.samples import sample_answers
from transformers_hem.serving.transformer import Headers, HEMTransformer


class InferenceThenMining(HEMTransformer):
    """The transformer of the edge InferenceService: mines the edge model's answer."""

    def __init__(self, name: str, decider: Decider, predictor: PredictorClient) -> None:
        super().__init__(name, decider)
        self._predictor = predictor

    def get_output_types(self) -> list[dict[str, Any]]:
        return [{"name": n, "datatype": d, "shape": [-1]} for n, d in TEXT_OUTPUTS.items()]

    async def answers(self) -> bool:
        """As its predictor; over REST the routes of `add_ready_routes` also say why not."""
        with contextlib.suppress(HEMError):
            await self.require_ready()
            return True
        return False

    async def require_ready(self) -> None:
        """Raises NotReady, or UpstreamError where the predictor can't be asked."""
        if self.stopping:
            raise NotReady(f"model {self.name!r} stops")
        await self._predictor.require_ready()

    async def close(self) -> None:
        await self._close_all()
        await self._predictor.close()

    async def predict(
        self,
        payload: InferRequest,
        headers: Headers | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> bytes | InferResponse:
        """Asks for every output: the telemetry that is mined may not be what the client wants."""
        decider = self.decider
        parameters = without(request_parameters(payload), DECIDED)
        prefer = parse_prefer(parameters)
        body = request_json(payload, parameters, outputs=False)
        texts = request_texts(payload) if has_text(payload) else []
        leaving = self._leaving(decider, payload, texts, parameters, headers)
        client = self._client(headers)
        asked = Batch(len(texts), tuple(texts), leaving=leaving, client=client)
        with unrepeated(leaving is not None and decider.is_private(asked)):
            response = await self._predictor.infer(body, headers or {})
            batch = replace(answer_batch(response, texts), leaving=leaving, client=client)
            decision = await self._mine(decider, batch, prefer, payload, headers)
        return self._answered(payload, response, parameters, decision.parameters())

    def _answered(
        self,
        payload: InferRequest,
        response: dict[str, Any],
        parameters: Mapping[str, Any],
        decided: Mapping[str, Any],
    ) -> bytes | InferResponse:
        """The predictor's response with the decision, as the client wants it."""
        response["parameters"] = {
            **hem_parameters(parameters),
            **without(response.get("parameters") or {}, DECIDED),
            **decided,
        }
        if payload.request_outputs:
            named = named_outputs(response)
            response["outputs"] = [named[name] for name in wanted_outputs(payload, named)]
        if not payload.from_grpc and not payload.use_binary_outputs:
            return orjson.dumps(response)
        outputs = [
            InferOutput(o["name"], o["shape"], o["datatype"], o["data"], o.get("parameters"))
            for o in response["outputs"]
        ]
        return build_response(payload, outputs, response["parameters"], self.name)

    async def _with_samples(
        self, extra: ExtraAnswers, batch: Batch, request: InferRequest, headers: Headers | None
    ) -> Batch:
        if not batch.texts:
            return batch
        parameters = without(request_parameters(request), DECIDED)
        samples = await sample_answers(self._predictor, batch.texts, parameters, extra, headers)
        return replace(batch, samples=samples)
