"""The gateway's paths, and what a request goes through: key, body, answer."""

import logging
import math
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from predictors.contract import CLOUD, EDGE, Query, Sampling
from predictors.contract.openai.errors import error_body
from predictors.contract.openai.requests import ChatRequest, CompletionRequest
from predictors.errors import HEMError, UpstreamError
from predictors.prices import Prices
from predictors.serving.openai_paths import CHAT, COMPLETIONS, OpenAIPaths
from predictors.upstream.client import forwarded_headers
from predictors.upstream.redaction import logged, unrepeated
from transformers_hem.gateway.account import Account, CloudModel
from transformers_hem.gateway.answering import Answering, Miner
from transformers_hem.gateway.chat import REQUEST_ID, Chat, read_wishes
from transformers_hem.gateway.cors import GatewayCORS
from transformers_hem.gateway.finished import Observer, finished_chat, finished_decision, status_of
from transformers_hem.gateway.first_answer import Edge
from transformers_hem.gateway.hedging import Hedging
from transformers_hem.gateway.keys import Keys
from transformers_hem.gateway.options import DecideAt, OnBreak
from transformers_hem.gateway.outlet import Outlet
from transformers_hem.gateway.pace import TimeLimits
from transformers_hem.gateway.page import Page
from transformers_hem.gateway.site import Site
from transformers_hem.gateway.sticky import Sticky
from transformers_hem.serving.clients import client_of
from transformers_hem.serving.decision import Decision
from transformers_hem.serving.leaving import leaving_chat

logger = logging.getLogger("kserve.hem")


class Gateway(OpenAIPaths):
    """The gateway of one site. `limits` are how long one side is waited for, `on_break` is what a
    caller may ask for where a stream breaks off; the others are as their settings."""

    def __init__(
        self,
        site: Site,
        miner: Miner,
        keys: Keys,
        sticky: Sticky,
        *,
        private: Sticky | None = None,
        limits: TimeLimits,
        on_break: OnBreak = "continue",
        decide_at: DecideAt = "end",
        hedge_percentile: float | None = None,
        prices: Prices | None = None,
        origins: Sequence[str] = (),
        whole_conversation: bool = False,
        patience: float = 15.0,
        client_header: str = "",
        page: bool = False,
    ) -> None:
        super().__init__(*site.models)
        self._site = site
        self._answering = Answering(
            site, miner, Edge(site.targets[EDGE]), limits, decide_at, Hedging(hedge_percentile)
        )
        self._on_break: OnBreak = on_break
        self._keys = keys
        self._sticky = sticky
        self._private = private or Sticky("off", "")
        self._decider = miner.decider
        self._prices = prices
        self._cloud = CloudModel(site.targets[CLOUD].named)
        self._origins = origins
        self._whole_conversation = whole_conversation
        self._patience = patience
        self._client_header = client_header
        self._page: Page | None = None
        if page:
            self._page = Page(site, lambda: miner.decider, lambda: self._prices, self._check_key)
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
            wishes = read_wishes(request.headers, self._on_break)
            prefer = self._site.prefer(asked.model)
            # Sides have their own defaults: what is absent stays absent. This checks what is there.
            queries = asked.queries(Sampling(), text_alone=False)
            texts = tuple(dict.fromkeys(self._mined(query) for query in queries))
        except HEMError as error:
            return refusal(error, {REQUEST_ID: identity})
        headers = {**request.headers, REQUEST_ID: identity}
        conversation = self._sticky.key(body, headers)
        account = Account(self._prices, self._cloud)
        private = self._private.key(body, headers)
        leaving = leaving_chat(body, request.headers, private=self._private.stays(private))
        client = client_of(request.headers, self._client_header)
        chat = Chat(
            path, body, texts, prefer, headers, wishes, account, conversation, leaving, client
        )
        if private is not None and self._decider.is_private(chat.batch):
            self._private.remember(private)
        return _Passed(self, chat)

    def _mined(self, query: Query) -> str:
        if not self._whole_conversation or not query.messages:
            return query.text
        return "\n\n".join(message.content for message in query.messages)

    async def serve(self, chat: Chat, outlet: Outlet) -> None:
        """Raises HEMError."""
        began, status = time.perf_counter(), 200
        try:
            stays = self._sticky.stays(chat.conversation)
            await self._answering.answer(chat, outlet, stays=stays)
        except BaseException as error:
            status = status_of(error)
            raise
        finally:
            if chat.account.answered_by(CLOUD):
                self._sticky.remember(chat.conversation)
            chat.account.close()
            if self._observer is not None:
                self._observer(finished_chat(chat, began, outlet.said_at, status))

    def is_private(self, chat: Chat) -> bool:
        """Whether there is anything private in it, wherever it goes."""
        return self._decider.is_anything_private(chat.batch)

    def outlet(self, chat: Chat, send: Send) -> Outlet:
        return Outlet(send, streams=chat.streams, patience=self._patience)


class _Passed(Response):
    """What the gateway answers, or the error where it sends nothing."""

    def __init__(self, gateway: Gateway, chat: Chat) -> None:
        super().__init__()
        self._gateway = gateway
        self._chat = chat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chat = self._chat
        named = {REQUEST_ID: chat.headers[REQUEST_ID]}
        outlet = self._gateway.outlet(chat, _with_headers(send, named))
        private = self._gateway.is_private(chat)
        with forwarded_headers(chat.headers), unrepeated(private):
            try:
                await self._gateway.serve(chat, outlet)
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
    if isinstance(error, UpstreamError) and error.retry_after and error.status == 503:
        told["retry-after"] = str(math.ceil(error.retry_after))
    return JSONResponse(error_body(error), error.status, headers=told)
