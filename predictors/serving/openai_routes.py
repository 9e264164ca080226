"""OpenAI's API in front of a text engine: models, chat completions, completions.

They stand beside kserve's own routes: those need vLLM to be installed, and know no streams here.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from predictors.contract import Query, Sampling
from predictors.contract.openai.errors import PREFIXES, InvalidField, error_body, openai_error
from predictors.contract.openai.requests import ChatRequest, CompletionRequest
from predictors.contract.openai.responses import ChatWriter, CompletionWriter, Writer
from predictors.engines.base import LOGPROBS, MESSAGES, PENALTIES, RAW, TOKENS, TextEngine
from predictors.errors import HEMError, UnknownModel, known
from predictors.serving.choices import Choices
from predictors.serving.direct import Endpoint, add_posts
from predictors.serving.event_stream import event_stream
from predictors.upstream.client import forwarded_headers

REFUSED: Final = ("responses", "embeddings")  # paths of OpenAI's that clients may ask for


class OpenAIRoutes:
    """Of the model `name`, which `aliases` call too. `check_ready` raises NotReady."""

    def __init__(
        self,
        name: str,
        engine: TextEngine,
        defaults: Sampling,
        check_ready: Callable[[], None],
        aliases: Sequence[str] = (),
        patience: float = 15.0,
    ) -> None:
        self._name = name
        self._names = (name, *aliases)
        self._engine = engine
        self._defaults = defaults
        self._check_ready = check_ready
        self._patience = patience
        self._created = int(time.time())

    def add_to(self, app: FastAPI) -> None:
        """Before kserve adds its own."""
        for prefix in PREFIXES:
            app.add_api_route(f"{prefix}/models", self.models, methods=["GET"])
        add_posts(app, posts(self.chat, self.completions, self.refuse))

    async def models(self) -> dict[str, Any]:
        """kserve's V1 protocol has the same path: its `models` stand beside."""
        described = {"object": "model", "created": self._created, "owned_by": "kserve-hem"}
        return {
            "object": "list",
            "data": [{"id": name, **described} for name in self._names],
            "models": [self._name],
        }

    async def chat(self, request: Request) -> Response:
        return await self._answer(request, ChatRequest, ChatWriter)

    async def completions(self, request: Request) -> Response:
        return await self._answer(request, CompletionRequest, CompletionWriter)

    async def refuse(self, request: Request) -> Response:
        path = request.url.path
        message = f"{path} is not served; use /v1/chat/completions or /v1/completions"
        return JSONResponse(openai_error(message, 404), 404)

    async def _answer(
        self,
        request: Request,
        parser: type[ChatRequest] | type[CompletionRequest],
        writer_class: Callable[[str, Sequence[Query], int], Writer],
    ) -> Response:
        try:
            asked = parser.parse(orjson.loads(await request.body() or b"null"))
            if asked.model not in self._names:
                way_out = known(asked.model, self._names)
                raise UnknownModel(f"model {asked.model!r} is not served; {way_out}")
            queries = asked.queries(self._defaults)
            refuse_untaken(queries, self._engine)
            self._check_ready()
            writer = writer_class(asked.model, queries, asked.choices)
            with forwarded_headers(request.headers):
                choices = Choices(self._engine, queries)
            if asked.stream:
                usage = asked.include_usage
                return await event_stream(choices, writer, usage, self._patience)
            return Response(writer.whole(await choices.whole()), media_type="application/json")
        except HEMError as error:
            return error_response(error)


def posts(chat: Endpoint, completions: Endpoint, refuse: Endpoint) -> dict[str, Endpoint]:
    """By path, under each prefix."""
    named = {"chat/completions": chat, "completions": completions}
    named |= dict.fromkeys(REFUSED, refuse)
    return {f"{prefix}/{path}": end for prefix in PREFIXES for path, end in named.items()}


def error_response(error: HEMError) -> JSONResponse:
    return JSONResponse(error_body(error), error.status)


def refuse_untaken(queries: Sequence[Query], engine: TextEngine) -> None:
    """Raises InvalidField for the first field that this engine doesn't take."""
    takes = engine.takes
    for query in queries:
        sampling = query.sampling
        needed = {
            "messages": (bool(query.messages), MESSAGES, "one user message alone is taken"),
            "prompt": (query.raw and not query.tokens, RAW, "the chat template can't be left out"),
            "prompt ": (bool(query.tokens), TOKENS, "token ids are not taken"),
            "logprobs": (query.top_logprobs is not None, LOGPROBS, ""),
            "presence_penalty": (bool(sampling.presence_penalty), PENALTIES, ""),
            "frequency_penalty": (bool(sampling.frequency_penalty), PENALTIES, ""),
            **{name: (True, name, "") for name in query.options},
        }
        for name, (asked, part, why) in needed.items():
            if asked and part not in takes:
                field = name.strip()
                raise InvalidField(
                    f"{field}: not supported by this model{f': {why}' if why else ''}",
                    field,
                    "unsupported",
                )
