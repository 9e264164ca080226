"""The gateway's paths, and what a request goes through: key, body, decision, answer."""

import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from predictors.contract import CLOUD, EDGE, Query, Sampling
from predictors.contract.openai.errors import PREFIXES, error_body, openai_error
from predictors.contract.openai.requests import ChatRequest, CompletionRequest
from predictors.errors import ContextTooLong, HEMError, InvalidRequest
from predictors.upstream.client import forwarded_headers
from transformers_hem.algorithms.base import Batch, Route
from transformers_hem.gateway.keys import Keys
from transformers_hem.gateway.relay import Relay, Served
from transformers_hem.gateway.site import Site
from transformers_hem.serving.decision import Decision

logger = logging.getLogger("kserve.hem")

Mine = Callable[[Batch, Route | None, str | None], Awaitable[Decision]]

CHAT: Final = "/chat/completions"
COMPLETIONS: Final = "/completions"
REQUEST_ID: Final = "x-request-id"
EDGE_CANNOT: Final = "edge_cannot"  # the reason where the edge refused what the cloud may take


class Gateway:
    """Of one site. `mine` decides; `privacy` says whether a guard keeps a query at the edge."""

    def __init__(
        self,
        site: Site,
        mine: Mine,
        privacy: Callable[[Batch], bool],
        keys: Keys | None,
        *,
        whole_conversation: bool = False,
        patience: float = 15.0,
    ) -> None:
        self._site = site
        self._mine = mine
        self._privacy = privacy
        self._keys = keys
        self._whole_conversation = whole_conversation
        self._patience = patience
        self._created = int(time.time())

    def add_to(self, app: FastAPI) -> None:
        for prefix in PREFIXES:
            app.add_api_route(f"{prefix}/models", self.models, methods=["GET"])
            app.add_api_route(f"{prefix}{CHAT}", self.chat, methods=["POST"])
            app.add_api_route(f"{prefix}{COMPLETIONS}", self.completions, methods=["POST"])
            for path in ("/responses", "/embeddings"):
                app.add_api_route(f"{prefix}{path}", self.refuse, methods=["POST"])

    async def models(self, request: Request) -> Response:
        try:
            self._check_key(request)
        except HEMError as error:
            return refusal(error)
        described = {"object": "model", "created": self._created, "owned_by": "kserve-hem"}
        listed = [{"id": name, **described} for name in self._site.models]
        return JSONResponse({"object": "list", "data": listed, "models": [self._site.name]})

    async def chat(self, request: Request) -> Response:
        return await self._answer(request, ChatRequest, CHAT)

    async def completions(self, request: Request) -> Response:
        return await self._answer(request, CompletionRequest, COMPLETIONS)

    async def refuse(self, request: Request) -> Response:
        message = f"{request.url.path} is not served; use /v1/chat/completions or /v1/completions"
        return JSONResponse(openai_error(message, 404), 404)

    async def close(self) -> None:
        await self._site.close()

    def _check_key(self, request: Request) -> None:
        if self._keys is not None:
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
            batch = Batch(len(texts), texts)
            decision = await self._mine(batch, prefer, identity)
        except HEMError as error:
            return refusal(error, {REQUEST_ID: identity})
        headers = {**request.headers, REQUEST_ID: identity}
        return _Passed(self, path, body, decision, headers, self._may_move(batch, prefer, decision))

    def _may_move(self, batch: Batch, prefer: Route | None, decision: Decision) -> bool:
        """Whether the cloud may answer what the edge can't take."""
        return decision.route == EDGE and prefer is None and not self._privacy(batch)

    def _mined(self, query: Query) -> str:
        if not self._whole_conversation or not query.messages:
            return query.text
        return "\n\n".join(message.content for message in query.messages)

    async def pass_on(
        self, path: str, body: Mapping[str, Any], decision: Decision, send: Send
    ) -> None:
        """Raises HEMError as long as nothing was sent."""
        target = self._site.targets[decision.route]
        model = await target.model()
        asked = {**body, "model": model}
        await Relay(target, path, asked, Served(decision, model), send, self._patience).run()


class _Passed(Response):
    """The answer of the side that was chosen; of the other one where that can't take the query."""

    def __init__(
        self,
        gateway: Gateway,
        path: str,
        body: Mapping[str, Any],
        decision: Decision,
        headers: Mapping[str, str],
        may_move: bool,
    ) -> None:
        super().__init__()
        self._gateway = gateway
        self._path = path
        self._body = body
        self._decision = decision
        self._given = headers
        self._may_move = may_move

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with forwarded_headers(self._given):
            try:
                await self._pass_on(send)
            except HEMError as error:
                named = {
                    REQUEST_ID: self._given[REQUEST_ID],
                    "x-hem-route": self._decision.route,
                    "x-hem-reason": self._decision.reason,
                }
                await refusal(error, named)(scope, receive, send)

    async def _pass_on(self, send: Send) -> None:
        sent = _with_request_id(send, self._given[REQUEST_ID])
        try:
            await self._gateway.pass_on(self._path, self._body, self._decision, sent)
        except InvalidRequest as error:
            if not (self._may_move and _cannot(error)):
                raise
            self._decision = replace(self._decision, route=CLOUD, reason=EDGE_CANNOT)
            await self._gateway.pass_on(self._path, self._body, self._decision, sent)


def _cannot(error: InvalidRequest) -> bool:
    """Whether another model may take what this one refuses."""
    return isinstance(error, ContextTooLong) or getattr(error, "code", None) == "unsupported"


def _with_request_id(send: Send, identity: str) -> Send:
    async def sent(message: Any) -> None:
        if message["type"] == "http.response.start":
            pair = (REQUEST_ID.encode(), identity.encode("latin-1", "replace"))
            message = {**message, "headers": [*message["headers"], pair]}
        await send(message)

    return sent


def refusal(error: HEMError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(error_body(error), error.status, headers=dict(headers or {}))
