"""The HEM transformer as kserve models, one per mining mode, and what Prometheus sees of it."""

import asyncio
import contextlib
import logging
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import orjson
from fastapi import FastAPI
from grpc_interceptor.exceptions import Unimplemented
from kserve import InferOutput, InferRequest, InferResponse
from kserve.model import InferenceVerb
from prometheus_client import Counter, Gauge, Histogram

from predictors.contract import (
    CLOUD,
    TEXT_INPUT,
    Sampling,
    hem_parameters,
    parse_prefer,
    parse_sampling,
)
from predictors.contract.codec import (
    TEXT_OUTPUTS,
    build_response,
    grpc_error,
    has_text,
    request_json,
    request_parameters,
    request_texts,
    wanted_outputs,
    without,
)
from predictors.errors import HEMError, InvalidRequest, NotReady
from predictors.serving.life import ServedModel
from predictors.tracing.genai import decided
from predictors.tracing.spans import Span, span
from predictors.upstream.redaction import unrepeated
from transformers_hem.algorithms.base import Batch, ExtraAnswers, Leaving, Route
from transformers_hem.feedback.build import add_refusal
from transformers_hem.gateway.routes import Gateway
from transformers_hem.guards.admission import Going, KeptAtEdge, usage_of_texts
from transformers_hem.reload.reloading import Reloading
from transformers_hem.reload.routes import AdminRoutes
from transformers_hem.serving.answer_batch import answer_batch, named_outputs
from transformers_hem.serving.clients import client_of
from transformers_hem.serving.decision import DECIDED, Asking, Decider, Decision
from transformers_hem.serving.leaving import is_made, leaving_request
from transformers_hem.serving.predictor_client import (
    PredictorClient,
)
from transformers_hem.serving.samples import sample_answers
from transformers_hem.serving.versions import SERVED

if TYPE_CHECKING:  # SQLAlchemy, where nothing may be kept
    from transformers_hem.feedback.collecting import Collecting

logger = logging.getLogger("kserve.hem")

Headers = Mapping[str, str]

_DECISIONS = Counter(
    "hem_decisions_total",
    "Requests by route, reason and algorithm.",
    ["route", "reason", "algorithm"],
)
_SCORE = Histogram(
    "hem_score",
    "Difficulty of scored requests.",
    ["algorithm"],
    buckets=[step / 20 for step in range(1, 21)],
)
_SECONDS = Histogram(
    "hem_decision_seconds",
    "Time to decide one request, scoring included.",
    ["algorithm"],
    buckets=(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1.0),
)
_PSI = Gauge(
    "hem_score_psi",
    "Population stability index of the last 1000 scores against the router's calibration; above "
    "0.2 queries have changed; NaN before 200 scores.",
    ["algorithm"],
)


class HEMTransformer(ServedModel):
    """What both modes share: metadata, deciding, and errors over gRPC.

    Ready as soon as it exists: its algorithm is loaded by then. One instance serves concurrent
    requests, so nothing of a request is kept on it.
    """

    def __init__(self, name: str, decider: Decider) -> None:
        super().__init__(name)
        self._decider = decider
        self.gateway: Gateway | None = None
        self.feedback: Collecting | None = None
        self.client_header = ""
        self._reloading: Reloading | None = None
        self._watch_drift(decider)
        self.ready = True

    @property
    def decider(self) -> Decider:
        """In force now: a request takes it once."""
        return self._decider if self._reloading is None else self._reloading.current.now.decider

    def follow(self, reloading: Reloading) -> None:
        """What is in force from now on."""
        self._reloading = reloading
        SERVED.set(self.decider)
        reloading.on_change(lambda now: self._watch_drift(now.decider))
        reloading.on_change(lambda now: SERVED.set(now.decider))

    def _watch_drift(self, decider: Decider) -> None:
        if decider.drift:  # computed when Prometheus asks
            _PSI.labels(decider.name).set_function(lambda: self._psi(decider.name))

    def _psi(self, algorithm: str) -> float:
        decider = self.decider
        return decider.drift.index() if decider.drift and decider.name == algorithm else math.nan

    async def load_and_watch(self) -> None:
        if self._reloading is None:
            return await super().load_and_watch()
        await self._reloading.watch()

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
                raise grpc_error(error) from error
            raise
        if not isinstance(response, bytes):
            return response, {}
        # kserve drops these two names in lower case, and sends bytes without a type or a length.
        described = {"Content-Type": "application/json", "Content-Length": str(len(response))}
        return response, described

    async def _mine(
        self,
        decider: Decider,
        batch: Batch,
        prefer: Route | None,
        request: InferRequest,
        headers: Headers | None,
        asking: Asking | None = None,
    ) -> Decision:
        """`asking`: what the algorithm's decision for the cloud becomes, and what leaves by it."""
        started = time.perf_counter()
        with span("hem mine", {}) as mining:
            decision = decider.overrule(batch, prefer)
            if decision is None:
                extra = decider.algorithm.sampling
                more = await self._with_samples(extra, batch, request, headers) if extra else batch
                decision = await judged(decider, more)
                if asking is not None and decision.route == CLOUD:
                    decision, batch = asking(decision)
            if decision.route == CLOUD:
                decision = await _admitted(decider, decision, batch, prefer, request)
            _describe(mining, decision, batch)
        request_id = (headers or {}).get("x-request-id") or request.id
        if request_id is None and self.feedback is not None:
            request.id = request_id = uuid.uuid4().hex  # the answer's id, which feedback names
        _tell(_told(decider, decision, batch, request_id, started))
        if self.gateway is not None:
            self.gateway.decided(decision, time.perf_counter() - started)
        if self.feedback is not None:
            self.feedback.recorder.decided(decider, decision, batch, request_id)
        return decision

    async def mine(
        self,
        batch: Batch,
        prefer: Route | None,
        request_id: str | None = None,
        sticky: bool = False,
        asking: Asking | None = None,
    ) -> Decision:
        """For the gateway, which has no V2 request."""
        miner = self.pinned(self.decider)
        decision = await miner.mine(batch, prefer, request_id, sticky, asking)
        miner.settled(decision)
        return decision

    def settled(self, decision: Decision | None) -> None:
        """A decision is as it was mined: see Pinned."""

    def pinned(self, decider: Decider) -> "Pinned":
        return Pinned(decider)

    def add_routes(self, app: FastAPI) -> None:
        if self.gateway is not None:
            self.gateway.add_to(app)
        if self._reloading is not None:
            AdminRoutes(self._reloading).add_to(app)
        if self.feedback is not None:
            self.feedback.add_to(app)
        else:
            add_refusal(app)

    async def _close_all(self) -> None:
        if self.gateway is not None:
            await self.gateway.close()
        if self.feedback is not None:
            await self.feedback.close()

    def add_outer_layers(self, app: FastAPI) -> None:
        if self.gateway is not None:
            self.gateway.share(app)

    def _client(self, headers: Headers | None) -> str:
        """A graph passes no keys on."""
        return client_of(headers or {}, self.client_header, by_key=False)

    def _leaving(
        self,
        decider: Decider,
        request: InferRequest,
        texts: Sequence[str],
        parameters: Mapping[str, Any],
        headers: Headers | None,
    ) -> Leaving | None:
        """None where nobody would look at it."""
        if not decider.private_guards:
            return None
        return leaving_request(request, texts, parameters, headers)

    async def _with_samples(
        self, extra: ExtraAnswers, batch: Batch, request: InferRequest, headers: Headers | None
    ) -> Batch:
        """Only the answer stage has a predictor to ask."""
        return batch


async def _admitted(
    decider: Decider, decision: Decision, batch: Batch, prefer: Route | None, request: InferRequest
) -> Decision:
    """By the guards that count; nobody sees what the cloud answers, so that their estimate stands.
    Raises KeptAtEdge for what the caller forces to the cloud."""
    if not decider.counts:
        return decision
    usage = usage_of_texts(batch.texts, request_parameters(request))
    try:
        await decider.admit(Going(batch.client, usage, forced=prefer == CLOUD))
    except KeptAtEdge as kept:
        if prefer == CLOUD:
            raise
        return decision.kept(kept.guard)
    return decision


def _logged_id(decider: Decider, decision: Decision, request_id: str | None) -> str | None:
    """It may be what is private."""
    private = decision.reason in decider.private_guards
    return None if private and request_id and not is_made(request_id) else request_id


def _describe(mining: Span, decision: Decision, batch: Batch) -> None:
    if mining.recording:
        mining.set({**decided(decision.parameters()), "hem.rows": batch.size})


@dataclass(frozen=True, slots=True)
class _Told:
    """What Prometheus and the log get of a decision; never the query."""

    decision: Decision
    rows: int
    request_id: str | None
    seconds: float


@dataclass(slots=True)
class Pinned:
    """Mines one request of the gateway by what was in force at its beginning. Where guards count
    what goes to the cloud, a decision for it is told once it is `settled`."""

    decider: Decider
    _untold: _Told | None = None

    async def mine(
        self,
        batch: Batch,
        prefer: Route | None,
        request_id: str | None = None,
        sticky: bool = False,
        asking: Asking | None = None,
    ) -> Decision:
        started = time.perf_counter()
        with span("hem mine", {}) as mining:
            decision = self.decider.overrule(batch, prefer, sticky)
            if decision is None:
                decision = await judged(self.decider, batch)
                if asking is not None and decision.route == CLOUD:
                    decision, batch = asking(decision)
            _describe(mining, decision, batch)
        self.settled(None)  # of a sentence before
        told = _told(self.decider, decision, batch, request_id, started)
        if self.decider.counts and decision.route == CLOUD:
            self._untold = told
        else:
            _tell(told)
        return decision

    def settled(self, decision: Decision | None) -> None:
        """What the last one has become: a guard that counts may keep it at the edge. None: nothing
        else."""
        untold, self._untold = self._untold, None
        if untold is not None:
            _tell(untold if decision is None else replace(untold, decision=decision))

    def pinned(self, decider: Decider) -> "Pinned":
        return Pinned(decider)


async def judged(decider: Decider, batch: Batch) -> Decision:
    if decider.algorithm.blocks(batch):
        return await asyncio.to_thread(decider.judge, batch)
    return decider.judge(batch)


def _told(
    decider: Decider, decision: Decision, batch: Batch, request_id: str | None, started: float
) -> _Told:
    """`started` is a `time.perf_counter()`."""
    identity = _logged_id(decider, decision, request_id)
    return _Told(decision, batch.size, identity, time.perf_counter() - started)


def _tell(told: _Told) -> None:
    """Once the decision is on its way: a line of a log takes as long as many decisions."""
    asyncio.get_running_loop().call_soon(_log, told)


def _log(told: _Told) -> None:
    decision = told.decision
    _DECISIONS.labels(decision.route, decision.reason, decision.algorithm).inc()
    _SECONDS.labels(decision.algorithm).observe(told.seconds)
    if decision.score is not None:
        _SCORE.labels(decision.algorithm).observe(decision.score)
    logger.info(
        "decision id=%.128r route=%s score=%s threshold=%g algorithm=%s reason=%s rows=%d ms=%.3f",
        told.request_id or "-",
        decision.route,
        "-" if decision.score is None else f"{decision.score:.4f}",
        decision.threshold,
        decision.algorithm,
        decision.reason,
        told.rows,
        told.seconds * 1000,
    )


class MiningThenInference(HEMTransformer):
    """A graph's `mine` step: answers the V2 request itself, annotated with the decision."""

    async def close(self) -> None:
        await self._close_all()

    def get_output_types(self) -> list[dict[str, Any]]:
        """Empty: the answer is the request."""
        return []

    async def predict(
        self,
        payload: InferRequest,
        headers: Headers | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> bytes:
        if payload.from_grpc:
            raise Unimplemented(
                details="mining-then-inference answers the annotated request, which gRPC can't "
                f"carry; POST it to /v2/models/{self.name}/infer over REST"
            )
        texts = request_texts(payload)
        parameters = request_parameters(payload)
        parse_sampling(parameters, Sampling())
        prefer = parse_prefer(parameters)
        decider = self.decider
        leaving = self._leaving(decider, payload, texts, parameters, headers)
        client = self._client(headers)
        batch = Batch(len(texts), tuple(texts), leaving=leaving, client=client)
        decision = await self._mine(decider, batch, prefer, payload, headers)
        return request_json(payload, {**without(parameters, DECIDED), **decision.parameters()})


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
