"""The mode self-design as a kserve model: the transformer of the edge, whose strategy says what the
cloud is asked.

Where the edge's engine asks the cloud itself, the query passes with its route, and the answer comes
back. Otherwise HEM answers the edge's answer or, where the cloud is to be asked, a V2 request for
it. That has with it what stands in where the cloud fails, for the graph's degrade step:

    edge                      this       -> the edge's answer, or a request
    answer, of a request:
      cloud                   <x>-uplink of the request
      degrade                 this       of the request, where that failed
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson
from grpc_interceptor.exceptions import Unimplemented
from kserve import InferRequest, InferResponse
from pydantic import BaseModel, ConfigDict, ValidationError

from predictors.contract import EDGE, TEXT_INPUT, Sampling, parse_prefer, parse_sampling
from predictors.contract.codec import request_json, request_parameters, request_texts, without
from predictors.errors import InvalidRequest, first_fault
from predictors.upstream.redaction import unrepeated
from transformers_hem.algorithms.base import Batch, Route
from transformers_hem.serving.answer_batch import answer_batch
from transformers_hem.serving.answer_stage import InferenceThenMining
from transformers_hem.serving.decision import DECIDED, Decider, Decision
from transformers_hem.serving.leaving import leaving_request
from transformers_hem.serving.transformer import Headers
from transformers_hem.strategies.base import Turn

# A parameter of a request for the cloud, as JSON of StandIn. An uplink passes on no parameters but
# the contract's, so that it never leaves.
STANDS_IN: Final = "edge_answer"


class StandIn(BaseModel):
    """For where the cloud fails: the client's texts, and the edge's V2 response to them; None: the
    edge has not been asked."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    texts: list[str]
    response: dict[str, Any] | None = None

    @classmethod
    def read(cls, text: object) -> "StandIn":
        """Raises InvalidRequest."""
        try:
            found = cls.model_validate_json(text if isinstance(text, str) else "")
        except ValidationError as error:
            path, message, _ = first_fault(error)
            raise InvalidRequest(
                f"parameter {STANDS_IN!r} is HEM's own, and is not as it writes it: {path or '-'}: "
                f"{message}"
            ) from None
        if found.response is not None and not isinstance(found.response.get("outputs"), list):
            raise InvalidRequest(f"parameter {STANDS_IN!r}: its response is none of V2")
        return found


@dataclass(slots=True)
class StrategyAsks:
    """What the strategy makes of a decision for the cloud. `texts` are what the cloud is asked, as
    the request's own as long as nothing else is said."""

    decider: Decider
    request: InferRequest
    parameters: Mapping[str, Any]
    headers: Headers | None
    batch: Batch
    texts: Sequence[str] = field(init=False)

    def __post_init__(self) -> None:
        self.texts = self.batch.texts

    def __call__(self, decision: Decision) -> tuple[Decision, Batch]:
        """The decision, and what leaves by it: a draft may have what the query has not, so that
        guards of privacy look at both. Raises EngineError."""
        drafts = self.batch.answers or ("",) * self.batch.size
        rows = list(zip(self.batch.texts, drafts, strict=True))
        asked = [self.decider.asks(Turn(query, draft)) for query, draft in rows]
        if all(text is None for text in asked):
            return decision.stays(), self.batch
        self.texts = [row[0] if t is None else t for row, t in zip(rows, asked, strict=True)]
        leaving = None
        if self.decider.private_guards:
            leaving = leaving_request(self.request, self.texts, self.parameters, self.headers)
        leaves = replace(self.batch, texts=tuple(self.texts), leaving=leaving)
        return self.decider.keeps_private(leaves) or decision, leaves


class SelfDesign(InferenceThenMining):
    """Of texts alone: a strategy asks in words."""

    async def predict(
        self,
        payload: InferRequest,
        headers: Headers | None = None,
        response_headers: dict[str, str] | None = None,
    ) -> bytes | InferResponse:
        given = request_parameters(payload)
        if STANDS_IN in given:
            return await self._stand_in(payload, given, headers)
        decider, parameters = self.decider, without(given, DECIDED)
        parse_sampling(parameters, Sampling())
        prefer = parse_prefer(parameters)
        texts = request_texts(payload)
        leaving = self._leaving(decider, payload, texts, parameters, headers)
        asked = Batch(len(texts), tuple(texts), leaving=leaving, client=self._client(headers))
        with unrepeated(leaving is not None and decider.is_private(asked)):
            if decider.strategy is not None and decider.strategy.at_edge:
                decision = await self._mine(decider, asked, prefer, payload, headers)
                body = request_json(payload, {**parameters, **decision.parameters()})
                response = await self._predictor.infer(body, headers or {})
                return self._answered(payload, response, parameters, decision.parameters())
            return await self._designed(decider, asked, prefer, payload, parameters, headers)

    async def _designed(
        self,
        decider: Decider,
        batch: Batch,
        prefer: Route | None,
        payload: InferRequest,
        parameters: dict[str, Any],
        headers: Headers | None,
    ) -> bytes | InferResponse:
        """The edge's answer, or the request for the cloud. Nobody drafts what is the cloud's
        alone."""
        response: dict[str, Any] | None = None
        drafted = batch
        overruled = decider.overrule(batch, prefer)
        if overruled is None and decider.stage == "answer":
            response = await self._edge(payload, parameters, batch.texts, headers)
            mined = answer_batch(response, batch.texts)
            drafted = replace(mined, leaving=batch.leaving, client=batch.client)
        asking = StrategyAsks(decider, payload, parameters, headers, drafted)
        decision = await self._mine(decider, drafted, prefer, payload, headers, asking)
        if decision.route == EDGE:
            if response is None:
                response = await self._edge(payload, parameters, batch.texts, headers)
            return self._answered(payload, response, parameters, decision.parameters())
        if payload.from_grpc:
            raise Unimplemented(
                details="the strategy asks the cloud by a step of the graph, whose request gRPC "
                f"can't carry; POST it to /v2/models/{self.name}/infer over REST"
            )
        carried = StandIn(texts=list(batch.texts), response=response)
        told = {**decision.parameters(), STANDS_IN: orjson.dumps(carried.model_dump()).decode()}
        return _with_texts(payload, {**parameters, **told}, asking.texts)

    async def _stand_in(
        self, payload: InferRequest, given: Mapping[str, Any], headers: Headers | None
    ) -> bytes | InferResponse:
        """The cloud failed: the edge's answer, which is there already where it was the draft."""
        carried = StandIn.read(given[STANDS_IN])
        parameters = without(given, DECIDED | {STANDS_IN})
        response = carried.response
        if response is None:
            response = await self._edge(payload, parameters, carried.texts, headers)
        decided = {name: value for name, value in given.items() if name in DECIDED}
        return self._answered(payload, response, parameters, decided)

    async def _edge(
        self,
        payload: InferRequest,
        parameters: Mapping[str, Any],
        texts: Sequence[str],
        headers: Headers | None,
    ) -> dict[str, Any]:
        """Asked for every output: an algorithm may mine what the client does not want."""
        body = _with_texts(payload, parameters, texts, outputs=False)
        return await self._predictor.infer(body, headers or {})


def _with_texts(
    request: InferRequest,
    parameters: Mapping[str, Any],
    texts: Sequence[str],
    *,
    outputs: bool = True,
) -> bytes:
    """The request as V2 JSON with these texts, and all else as the client sent it."""
    body = orjson.loads(request_json(request, parameters, outputs))
    named = {"name": TEXT_INPUT, "shape": [len(texts)], "datatype": "BYTES", "data": list(texts)}
    body["inputs"] = [named if each["name"] == TEXT_INPUT else each for each in body["inputs"]]
    return orjson.dumps(body)
