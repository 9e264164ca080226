"""The HEM transformer as a kserve model: what it does whatever it sees."""

import math
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from kserve import InferRequest
from kserve.model import InferenceVerb

from predictors.contract import CLOUD, TEXT_INPUT
from predictors.contract.codec import grpc_error, request_parameters
from predictors.errors import HEMError, InvalidRequest
from predictors.serving.life import ServedModel
from predictors.tracing.spans import span
from transformers_hem.algorithms.base import Batch, ExtraAnswers, Leaving, Route
from transformers_hem.feedback.build import add_refusal
from transformers_hem.gateway.routes import Gateway
from transformers_hem.guards.admission import Going, KeptAtEdge, usage_of_texts
from transformers_hem.reload.reloading import Reloading
from transformers_hem.reload.routes import AdminRoutes
from transformers_hem.serving.clients import client_of
from transformers_hem.serving.decision import Asking, Decider, Decision
from transformers_hem.serving.leaving import leaving_request
from transformers_hem.serving.pinned import Pinned, judged
from transformers_hem.serving.telling import PSI, Told, describe, tell
from transformers_hem.serving.versions import SERVED

if TYPE_CHECKING:  # SQLAlchemy, where nothing may be kept
    from transformers_hem.feedback.collecting import Collecting

Headers = Mapping[str, str]


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
            PSI.labels(decider.name).set_function(lambda: self._psi(decider.name))

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
            describe(mining, decision, batch)
        request_id = (headers or {}).get("x-request-id") or request.id
        if request_id is None and self.feedback is not None:
            request.id = request_id = uuid.uuid4().hex  # the answer's id, which feedback names
        tell(Told.of(decider, decision, batch, request_id, started))
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

    def pinned(self, decider: Decider) -> Pinned:
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
