"""The HEM transformer as kserve models: one per mining mode."""

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import orjson
from grpc_interceptor.exceptions import Unimplemented
from kserve import InferOutput, InferRequest, InferResponse, Model
from kserve.model import InferenceVerb

from predictors.contract import (
    TELEMETRY,
    TEXT_INPUT,
    TEXT_OUTPUT,
    Sampling,
    hem_parameters,
    parse_prefer,
    parse_sampling,
)
from predictors.contract.codec import (
    build_response,
    request_parameters,
    request_texts,
)
from predictors.errors import HEMError, InvalidRequest
from predictors.serving.grpc_status import to_grpc
from transformers_hem.algorithms.base import Batch, Route
from transformers_hem.serving.answer_batch import answer_batch
from transformers_hem.serving.decision import (
    DECIDED,
    Decider,
    Decision,
)
from transformers_hem.serving.metrics import observe, watch
from transformers_hem.serving.predictor_client import PredictorClient
from transformers_hem.serving.request_json import request_json, without
from transformers_hem.serving.samples import sample_answers

logger = logging.getLogger("kserve.hem")

Headers = Mapping[str, str]


class HEMTransformer(Model):
    """What both modes share: metadata, deciding, and errors over gRPC.

    Ready as soon as it exists: its algorithm is loaded by then. One instance serves concurrent
    requests, so nothing of a request is kept on it.
    """

    def __init__(self, name: str, decider: Decider) -> None:
        super().__init__(name)
        self._decider = decider
        if decider.drift:
            watch(decider.drift, decider.name)
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        return [{"name": TEXT_INPUT, "datatype": "BYTES", "shape": [-1]}]

    async def __call__(
        self,
        body: Any,
        headers: dict[str, str] | None = None,
        verb: InferenceVerb = InferenceVerb.PREDICT,
    ) -> tuple[Any, dict[str, str]]:
        if not isinstance(body, InferRequest):
            raise InvalidRequest(f"send a V2 request to /v2/models/{self.name}/infer")
        try:
            response, _ = await super().__call__(body, headers, verb)
        except HEMError as error:
            if body.from_grpc:
                raise to_grpc(error) from error
            raise
        if not isinstance(response, bytes):
            return response, {}
        # kserve drops these two names in lower case, and sends bytes without a type or a length.
        described = {"Content-Type": "application/json", "Content-Length": str(len(response))}
        return response, described

    async def _mine(
        self, batch: Batch, prefer: Route | None, request: InferRequest, headers: Headers | None
    ) -> Decision:
        started = time.perf_counter()
        decision = self._decider.overrule(batch, prefer)
        if decision is None:
            batch = await self._with_samples(batch, request, headers)
            decision = await self._judge(batch)
        seconds = time.perf_counter() - started
        observe(decision, seconds)
        logger.info(
            "decision id=%.128r route=%s score=%s threshold=%g algorithm=%s reason=%s "
            "rows=%d ms=%.3f",
            (headers or {}).get("x-request-id") or request.id or "-",
            decision.route,
            "-" if decision.score is None else f"{decision.score:.4f}",
            decision.threshold,
            decision.algorithm,
            decision.reason,
            batch.size,
            seconds * 1000,
        )
        return decision

    async def _with_samples(
        self, batch: Batch, request: InferRequest, headers: Headers | None
    ) -> Batch:
        """Only the answer stage has a predictor to ask."""
        return batch

    async def _judge(self, batch: Batch) -> Decision:
        if self._decider.algorithm.blocks(batch):
            return await asyncio.to_thread(self._decider.judge, batch)
        return self._decider.judge(batch)


class MiningThenInference(HEMTransformer):
    """A graph's `mine` step: answers the V2 request itself, annotated with the decision."""

    def get_output_types(self) -> list[dict[str, Any]]:
        """None: the answer is the request."""
        return []

    async def preprocess(
        self, payload: InferRequest, headers: Headers | None = None
    ) -> InferRequest:
        if payload.from_grpc:
            raise Unimplemented(
                details="mining-then-inference answers the annotated request, which gRPC can't "
                f"carry; POST it to /v2/models/{self.name}/infer over REST"
            )
        texts = request_texts(payload)
        parameters = request_parameters(payload)
        parse_sampling(parameters, Sampling())
        prefer = cast(Route | None, parse_prefer(parameters))
        batch = Batch(len(texts), texts=tuple(texts))
        decision = await self._mine(batch, prefer, payload, headers)
        payload.parameters = {**without(parameters, DECIDED), **decision.parameters()}
        return payload

    async def predict(
        self,
        payload: InferRequest,
        headers: Headers | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> bytes:
        return request_json(payload, payload.parameters)


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request, its parameters without stale decisions, and the predictor's V2 response to it."""

    request: InferRequest
    parameters: dict[str, Any]
    response: dict[str, Any]


class InferenceThenMining(HEMTransformer):
    """The transformer of the edge InferenceService: mines the edge model's answer."""

    def __init__(self, name: str, decider: Decider, predictor: PredictorClient) -> None:
        super().__init__(name, decider)
        self._predictor = predictor

    def get_output_types(self) -> list[dict[str, Any]]:
        outputs = {TEXT_OUTPUT: "BYTES", **TELEMETRY}
        return [{"name": n, "datatype": d, "shape": [-1]} for n, d in outputs.items()]

    def stop(self) -> None:
        super().stop()
        self._closing = asyncio.ensure_future(self._predictor.close())

    async def predict(
        self,
        payload: InferRequest,
        headers: Headers | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> Exchange:
        """Asks for every output: the telemetry that is mined may not be what the client wants."""
        parameters = without(request_parameters(payload), DECIDED)
        parse_prefer(parameters)
        body = request_json(payload, parameters, outputs=False)
        return Exchange(payload, parameters, await self._predictor.infer(body, headers or {}))

    async def _with_samples(
        self, batch: Batch, request: InferRequest, headers: Headers | None
    ) -> Batch:
        extra = self._decider.algorithm.sampling
        if extra is None or not batch.texts:
            return batch
        parameters = without(request_parameters(request), DECIDED)
        samples = await sample_answers(self._predictor, batch.texts, parameters, extra, headers)
        return replace(batch, samples=samples)

    async def postprocess(
        self,
        result: Exchange,
        headers: Headers | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> bytes | InferResponse:
        request, response = result.request, result.response
        has_text = any(tensor.name == TEXT_INPUT for tensor in request.inputs)
        batch = answer_batch(response, request_texts(request) if has_text else ())
        prefer = cast(Route | None, parse_prefer(result.parameters))
        decision = await self._mine(batch, prefer, request, headers)
        response["parameters"] = {
            **hem_parameters(result.parameters),
            **without(response.get("parameters") or {}, DECIDED),
            **decision.parameters(),
        }
        response["outputs"] = _wanted(request, response["outputs"])
        if request.from_grpc or request.use_binary_outputs:
            return _kserve_response(request, response, self.name)
        return orjson.dumps(response)


def _wanted(request: InferRequest, outputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The outputs that the request names, if it names any. Raises InvalidRequest for another."""
    if not request.request_outputs:
        return outputs
    given = {output.get("name"): output for output in outputs}
    names = [output.name for output in request.request_outputs]
    for name in names:
        if name not in given:
            known = ", ".join(sorted(map(str, given)))
            raise InvalidRequest(f"unknown output {name!r}; this model gives {known}")
    return [given[name] for name in names]


def _kserve_response(
    request: InferRequest, response: Mapping[str, Any], model_name: str
) -> InferResponse:
    outputs = [
        InferOutput(
            name=output["name"],
            shape=output["shape"],
            datatype=output["datatype"],
            data=output["data"],
            parameters=output.get("parameters"),
        )
        for output in response["outputs"]
    ]
    return build_response(request, outputs, response["parameters"], model_name)
