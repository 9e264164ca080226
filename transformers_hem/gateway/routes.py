"""The gateway's paths, and what a request goes through: key, body, decision, answer."""

import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from predictors.contract import CLOUD, EDGE, Query, Sampling
from predictors.contract.openai.errors import error_body
from predictors.contract.openai.requests import ChatRequest, CompletionRequest
from predictors.errors import (
    ContextTooLong,
    HEMError,
    InvalidRequest,
    Overloaded,
    UpstreamError,
)
from predictors.prices import Prices
from predictors.serving.openai_paths import CHAT, COMPLETIONS, OpenAIPaths
from predictors.upstream.client import forwarded_headers
from transformers_hem.algorithms.base import Batch, Route
from transformers_hem.gateway.account import Account, Attempt
from transformers_hem.gateway.cors import GatewayCORS
from transformers_hem.gateway.first_answer import Edge, FirstAnswer, as_events, shown
from transformers_hem.gateway.keys import Keys
from transformers_hem.gateway.relay import Relay
from transformers_hem.gateway.served import Served
from transformers_hem.gateway.site import Site
from transformers_hem.gateway.sticky import Sticky
from transformers_hem.serving.decision import Decider, Decision

logger = logging.getLogger("kserve.hem")


class Miner(Protocol):
    """What the gateway asks of HEM."""

    decider: Decider

    async def mine(
        self,
        batch: Batch,
        prefer: Route | None,
        request_id: str | None = None,
        sticky: bool = False,
    ) -> Decision:
        """Raises HEMError."""
        ...


REQUEST_ID: Final = "x-request-id"
# Reasons of decisions that the edge's answer made: it refused what the cloud may take, or failed.
EDGE_CANNOT: Final = "edge_cannot"
EDGE_FAILED: Final = "edge_failed"


class Gateway(OpenAIPaths):
    """The gateway of one site. The `miner` decides: on the query, or on the edge's answer, by the
    stage of its algorithm."""

    def __init__(
        self,
        site: Site,
        miner: Miner,
        keys: Keys,
        sticky: Sticky,
        *,
        prices: Prices | None = None,
        origins: Sequence[str] = (),
        whole_conversation: bool = False,
        patience: float = 15.0,
    ) -> None:
        super().__init__(*site.models)
        self._site = site
        self._miner = miner
        self._edge = Edge(site.targets[EDGE])
        self._keys = keys
        self._sticky = sticky
        self._prices = prices
        self._origins = origins
        self._whole_conversation = whole_conversation
        self._patience = patience

    async def models(self, request: Request) -> Response:
        try:
            self._check_key(request)
        except HEMError as error:
            return refusal(error)
        return await super().models(request)

    async def chat(self, request: Request) -> Response:
        return await self._answer(request, ChatRequest, CHAT)

    async def completions(self, request: Request) -> Response:
        return await self._answer(request, CompletionRequest, COMPLETIONS)

    def share(self, app: FastAPI) -> None:
        """With pages of other origins, those that its settings name. After all other layers of an
        app that has not started: pages read refusals, too."""
        if self._origins:
            app.add_middleware(GatewayCORS, origins=self._origins)

    async def close(self) -> None:
        await self._site.close()

    def _check_key(self, request: Request) -> None:
        self._keys.check(request.headers)

    async def _answer(
        self, request: Request, parser: type[ChatRequest] | type[CompletionRequest], path: str
    ) -> Response:
        identity = request.headers.get(REQUEST_ID) or uuid.uuid4().hex
        try:
            self._check_key(request)
            body = orjson.loads(await request.body() or b"null")
            asked = parser.parse(body)
            prefer = self._site.prefer(asked.model)
            # Sides have their own defaults: what is absent stays absent. This checks what is there.
            queries = asked.queries(Sampling(), text_alone=False)
            texts = tuple(dict.fromkeys(self._mined(query) for query in queries))
        except HEMError as error:
            return refusal(error, {REQUEST_ID: identity})
        headers = {**request.headers, REQUEST_ID: identity}
        conversation = self._sticky.key(body, headers)
        account = Account(self._prices)
        return _Passed(self, Chat(path, body, texts, prefer, headers, account, conversation))

    def _mined(self, query: Query) -> str:
        if not self._whole_conversation or not query.messages:
            return query.text
        return "\n\n".join(message.content for message in query.messages)

    async def serve(self, chat: "Chat", send: Send) -> None:
        """Raises HEMError as long as nothing was sent; `chat.decision` is what was decided."""
        try:
            await self._serve(chat, send)
        finally:
            if chat.account.answered_by(CLOUD):
                self._sticky.remember(chat.conversation)
            chat.account.close()

    async def _serve(self, chat: "Chat", send: Send) -> None:
        decider = self._miner.decider
        batch = Batch(len(chat.texts), chat.texts)
        identity = chat.headers[REQUEST_ID]
        by_answer = decider.algorithm.stage == "answer"
        stays = self._sticky.stays(chat.conversation)
        if not by_answer or decider.overrule(batch, chat.prefer, stays) is not None:
            chat.decision = await self._miner.mine(batch, chat.prefer, identity, stays)
            return await self._pass_on(chat, batch, send)
        draft = chat.account.begin(EDGE)
        try:
            first = await self._edge.answer(chat.path, chat.body, draft)
        except InvalidRequest as error:
            if not self._may_move(chat.prefer, batch, error):
                raise
            chat.decision = decider.no_answer(EDGE_CANNOT)
            return await self._pass_on(chat, batch, send)
        except (UpstreamError, Overloaded) as error:
            if not self._may_stand_in(chat.prefer, batch):
                raise
            logger.warning("the edge failed, the cloud answers: %s", error)
            chat.decision = decider.no_answer(EDGE_FAILED)
            return await self._pass_on(chat, batch, send)
        samples: tuple[tuple[str, ...], ...] = ()
        if extra := decider.algorithm.sampling:
            more = chat.account.begin(EDGE)
            samples = await self._edge.samples(chat.path, chat.body, extra, more)
        chat.draft = Draft(first, draft)
        answered = first.batch(chat.texts, samples)
        chat.decision = await self._miner.mine(answered, chat.prefer, identity)
        if chat.decision.route == CLOUD:
            return await self._pass_on(chat, batch, send)
        await self._give(chat, chat.draft, send)

    async def _pass_on(self, chat: "Chat", batch: Batch, send: Send) -> None:
        """The answer of the side that was decided; of the other one where that side can't take it,
        or fails before it has said anything, unless the caller or a guard wants it so."""
        assert chat.decision is not None
        try:
            await self._run(chat, send)
        except InvalidRequest as error:
            at_edge = chat.decision.route == EDGE
            if not (at_edge and self._may_move(chat.prefer, batch, error)):
                raise
            chat.decision = replace(chat.decision, route=CLOUD, reason=EDGE_CANNOT)
            await self._run(chat, send)
        except (UpstreamError, Overloaded) as error:
            if chat.decision.route == EDGE:
                if not self._may_stand_in(chat.prefer, batch):
                    raise
                logger.warning("the edge failed, the cloud answers: %s", error)
                chat.decision = replace(chat.decision, route=CLOUD, reason=EDGE_FAILED)
                return await self._run(chat, send)
            if chat.prefer is not None or chat.decision.reason == EDGE_FAILED:
                raise
            why = error.short if isinstance(error, UpstreamError) else "overloaded"
            if not error.told:
                logger.warning("the cloud failed, the edge answers: %s", error)
            if chat.draft is not None:
                await self._give(chat, chat.draft, send, degraded=why)
            else:
                await self._run(chat, send, degraded=why)

    async def _give(self, chat: "Chat", draft: "Draft", send: Send, degraded: str = "") -> None:
        body = shown(draft.answer.body, chat.body)
        relay = self._relay(chat, draft.attempt, send, degraded)
        await relay.give(body, as_events(body, chat.body))

    async def _run(self, chat: "Chat", send: Send, degraded: str = "") -> None:
        assert chat.decision is not None
        attempt = chat.account.begin(EDGE if degraded else chat.decision.route)
        with attempt.under_way():
            attempt.asked = await self._site.targets[attempt.route].model()
        await self._relay(chat, attempt, send, degraded).run()

    def _relay(self, chat: "Chat", attempt: Attempt, send: Send, degraded: str = "") -> Relay:
        assert chat.decision is not None
        asked = {**chat.body, "model": attempt.asked}
        served = Served(chat.decision, attempt, chat.account, degraded)
        target = self._site.targets[attempt.route]
        return Relay(target, chat.path, asked, served, send, self._patience)

    def _may_stand_in(self, prefer: Route | None, batch: Batch) -> bool:
        """Whether the cloud may answer in place of an edge that failed: neither the caller nor a
        guard keeps the request there."""
        guarded = self._miner.decider.overrule(batch, None)
        return prefer is None and (guarded is None or guarded.route == CLOUD)

    def _may_move(self, prefer: Route | None, batch: Batch, error: InvalidRequest) -> bool:
        """Whether the cloud may answer what the edge refuses: another model may take it, and
        neither the caller nor a guard of privacy keeps it here."""
        cannot = isinstance(error, ContextTooLong) or getattr(error, "code", None) == "unsupported"
        return cannot and prefer is None and not self._miner.decider.is_private(batch)


@dataclass(frozen=True, slots=True)
class Draft:
    """The edge's whole answer, which is there before anything is decided."""

    answer: FirstAnswer
    attempt: Attempt


@dataclass(slots=True)
class Chat:
    """One request: its path and body, what is mined of it, the side that the caller forces, what it
    costs, the conversation that it belongs to, and the edge's answer where that is mined."""

    path: str
    body: Mapping[str, Any]
    texts: tuple[str, ...]
    prefer: Route | None
    headers: Mapping[str, str]
    account: Account
    conversation: bytes | None
    draft: Draft | None = None
    decision: Decision | None = None


class _Passed(Response):
    """What the gateway answers, or the error where it sends nothing."""

    def __init__(self, gateway: Gateway, chat: Chat) -> None:
        super().__init__()
        self._gateway = gateway
        self._chat = chat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chat = self._chat
        named = {REQUEST_ID: chat.headers[REQUEST_ID]}
        with forwarded_headers(chat.headers):
            try:
                await self._gateway.serve(chat, _with_headers(send, named))
            except HEMError as error:
                if chat.decision is not None:
                    named["x-hem-route"] = chat.decision.route
                    named["x-hem-reason"] = chat.decision.reason
                await refusal(error, named)(scope, receive, send)


def _with_headers(send: Send, headers: Mapping[str, str]) -> Send:
    pairs = [(n.encode(), value.encode("latin-1", "replace")) for n, value in headers.items()]

    async def sent(message: Any) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *pairs]}
        await send(message)

    return sent


def refusal(error: HEMError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(error_body(error), error.status, headers=dict(headers or {}))
