"""The gateway's paths, and what a request goes through: key, body, answer."""

import logging
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import Counter
from starlette.types import Receive, Scope, Send

from predictors.contract import CLOUD, EDGE, Query, Sampling
from predictors.contract.openai.errors import error_body
from predictors.contract.openai.requests import ChatRequest, CompletionRequest
from predictors.errors import HEMError, TooManyRequests, UpstreamError
from predictors.serving.openai_paths import CHAT, COMPLETIONS, OpenAIPaths
from predictors.upstream.client import forwarded_headers
from predictors.upstream.redaction import logged, unrepeated
from predictors.upstream.tenant import tenant
from transformers_hem.gateway.account import Account, CloudModel
from transformers_hem.gateway.answering import Answering
from transformers_hem.gateway.callers import Caller
from transformers_hem.gateway.chat import REQUEST_ID, Chat, read_wishes
from transformers_hem.gateway.cors import GatewayCORS
from transformers_hem.gateway.finished import (
    Finished,
    Observer,
    finished_chat,
    finished_decision,
    status_of,
)
from transformers_hem.gateway.first_answer import Edge
from transformers_hem.gateway.hedging import Hedging
from transformers_hem.gateway.keys import Rates
from transformers_hem.gateway.miner import Miner
from transformers_hem.gateway.options import OnBreak
from transformers_hem.gateway.outlet import Outlet
from transformers_hem.gateway.pace import TimeLimits
from transformers_hem.gateway.page import Page
from transformers_hem.gateway.site import Site
from transformers_hem.gateway.sticky import Sticky
from transformers_hem.reload.in_force import Current, InForce
from transformers_hem.serving.clients import client_of
from transformers_hem.serving.decision import Decider, Decision
from transformers_hem.serving.leaving import leaving_chat

if TYPE_CHECKING:  # SQLAlchemy, where nothing may be kept
    from transformers_hem.feedback.recorder import Recorder
    from transformers_hem.feedback.shadow import Shadow

logger = logging.getLogger("kserve.hem")


UNKNOWN: Final = "unknown"  # who has no key, or a wrong one
_REQUESTS = Counter(
    "hem_caller_requests_total",
    "Requests of the gateway by the caller's name, as its tokens have it: accepted, rate_limited, "
    "or denied.",
    ["caller", "outcome"],
)


class Gateway(OpenAIPaths):
    """The gateway of one site. What is in force when a request begins holds to its end. `limits`
    are how long one side is waited for, `on_break` is what a caller may ask for where a stream
    breaks off; the others are as their settings."""

    def __init__(
        self,
        site: Site,
        miner: Miner,
        current: Current,
        sticky: Sticky,
        *,
        private: Sticky | None = None,
        limits: TimeLimits,
        on_break: OnBreak = "continue",
        hedge_percentile: float | None = None,
        origins: Sequence[str] = (),
        whole_conversation: bool = False,
        patience: float = 15.0,
        client_header: str = "",
        recorder: "Recorder | None" = None,
        shadow: "Shadow | None" = None,
        page: bool = False,
    ) -> None:
        super().__init__(*site.models)
        self._site = site
        self._answering = Answering(
            site, miner, Edge(site.targets[EDGE]), limits, hedging=Hedging(hedge_percentile)
        )
        self._on_break: OnBreak = on_break
        self._current = current
        self._rates = Rates()
        self._sticky = sticky
        self._private = private or Sticky("off", "")
        self._cloud = CloudModel(site.targets[CLOUD].named)
        self._origins = origins
        self._whole_conversation = whole_conversation
        self._patience = patience
        self._client_header = client_header
        self._recorder = recorder
        self._shadow = shadow
        self._page: Page | None = None
        if page:
            self._page = Page(
                site,
                lambda: current.now.decider,
                lambda: current.now.prices,
                lambda request: current.now.keys.check(request.headers),
                keeps_feedback=recorder is not None,
            )
        self._observer: Observer | None = self._page.recent.add if self._page else None

    def add_to(self, app: FastAPI) -> None:
        super().add_to(app)
        if self._page is not None:
            self._page.add_to(app)

    def decided(self, decision: Decision, seconds: float) -> None:
        """A V2 request, whose models the graph asks."""
        if self._observer is not None:
            self._observer(finished_decision(decision, seconds))

    async def models(self, request: Request) -> Response:
        try:
            caller = self._current.now.keys.check(request.headers)
        except HEMError as error:
            return refusal(error)
        return JSONResponse(self.listed(self._site.may_call(caller)))

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

    def _caller(self, request: Request, now: InForce) -> Caller:
        """Raises HEMError for who may not call, or not so often."""
        name = UNKNOWN
        try:
            caller = now.keys.check(request.headers)
            name = caller.name
            self._rates.take(caller)
        except HEMError as error:
            outcome = "rate_limited" if isinstance(error, TooManyRequests) else "denied"
            _REQUESTS.labels(name, outcome).inc()
            raise
        _REQUESTS.labels(name, "accepted").inc()
        return caller

    async def _answer(
        self, request: Request, parser: type[ChatRequest] | type[CompletionRequest], path: str
    ) -> Response:
        identity = request.headers.get(REQUEST_ID) or uuid.uuid4().hex
        now = self._current.now
        try:
            caller = self._caller(request, now)
            body = orjson.loads(await request.body() or b"null")
            asked = parser.parse(body)
            wishes = read_wishes(request.headers, self._on_break)
            prefer = self._site.prefer(asked.model, caller)
            # Sides have their own defaults: what is absent stays absent. This checks what is there.
            queries = asked.queries(Sampling(), text_alone=False)
            texts = tuple(dict.fromkeys(self._mined(query) for query in queries))
        except HEMError as error:
            return refusal(error, {REQUEST_ID: identity})
        headers = {**request.headers, REQUEST_ID: identity}
        conversation = self._sticky.key(body, headers)
        account = Account(now.prices, self._cloud)
        private = self._private.key(body, headers)
        leaving = leaving_chat(body, request.headers, private=self._private.stays(private))
        client = client_of(request.headers, self._client_header, caller.tenant)
        chat = Chat(
            path, body, texts, prefer, headers, wishes, account, conversation, leaving, client
        )
        decider = now.decider.for_guards(caller.guards)
        if private is not None and decider.is_private(chat.batch):
            self._private.remember(private)
        miner = self._answering.miner.pinned(decider)
        answering = replace(self._answering, miner=miner, decide_at=now.decide_at)
        return _Passed(self, chat, answering, caller)

    def _mined(self, query: Query) -> str:
        if not self._whole_conversation or not query.messages:
            return query.text
        return "\n\n".join(message.content for message in query.messages)

    async def serve(self, chat: Chat, answering: Answering, outlet: Outlet) -> None:
        """Raises HEMError."""
        began, status = time.perf_counter(), 200
        try:
            stays = self._sticky.stays(chat.conversation)
            await answering.answer(chat, outlet, stays=stays)
        except BaseException as error:
            status = status_of(error)
            raise
        finally:
            answering.miner.settled(chat.decision)
            if chat.account.answered_by(CLOUD):
                self._sticky.remember(chat.conversation)
            chat.account.close()
            if self._observer is not None or self._recorder is not None:
                finished = finished_chat(chat, began, outlet.said_at, status)
                if self._observer is not None:
                    self._observer(finished)
                if self._recorder is not None:
                    self._record(self._recorder, answering.miner.decider, chat, finished)

    def _record(
        self, recorder: "Recorder", decider: Decider, chat: Chat, finished: Finished
    ) -> None:
        share = 0.0
        if self._shadow is not None:
            share = self._shadow.share_of(decider, chat, finished)
            if chat.drawn < share and chat.heard is not None:
                self._shadow.begin(self._site, decider, chat, chat.heard, finished.at)
        recorder.finished(decider, chat, finished, share)

    def listening(self, chat: Chat, decider: Decider, send: Send) -> Send:
        """`send`, and where it may be compared something that hears what is sent."""
        if self._shadow is not None:
            chat.heard = self._shadow.listen(chat)
        if chat.heard is None and self._recorder is not None:
            chat.heard = self._recorder.listen(decider, chat)
        return send if chat.heard is None else chat.heard.beside(send)

    def outlet(self, chat: Chat, send: Send) -> Outlet:
        return Outlet(send, streams=chat.streams, patience=self._patience)


class _Passed(Response):
    """What the gateway answers, or the error where it sends nothing."""

    def __init__(self, gateway: Gateway, chat: Chat, answering: Answering, caller: Caller) -> None:
        super().__init__()
        self._gateway = gateway
        self._chat = chat
        self._answering = answering
        self._caller = caller

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chat = self._chat
        named = {REQUEST_ID: chat.headers[REQUEST_ID]}
        private = self._answering.miner.decider.is_anything_private(chat.batch)
        chat.private = private
        send = self._gateway.listening(chat, self._answering.miner.decider, send)
        outlet = self._gateway.outlet(chat, _with_headers(send, named))
        told = (forwarded_headers(chat.headers), tenant(self._caller.tenant), unrepeated(private))
        with told[0], told[1], told[2]:
            try:
                await self._gateway.serve(chat, self._answering, outlet)
            except HEMError as error:
                if outlet.begun:
                    logger.warning("a stream broke off: %s", logged(error))
                    return await outlet.fail(error)
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
    """With how long to wait, where a server has said that."""
    told = dict(headers or {})
    seconds = None
    if isinstance(error, TooManyRequests) or (
        isinstance(error, UpstreamError) and error.status == 503
    ):
        seconds = error.retry_after
    if seconds:
        told["retry-after"] = str(math.ceil(seconds))
    return JSONResponse(error_body(error), error.status, headers=told)
