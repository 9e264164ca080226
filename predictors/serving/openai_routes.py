"""OpenAI's API in front of a text engine: models, chat completions, completions.

They stand beside kserve's own routes: those need vLLM to be installed, and know no streams here.
"""

from collections.abc import Callable, Sequence
from functools import partial

import orjson
from fastapi import Request, Response
from fastapi.responses import JSONResponse

from predictors.contract import Query, Sampling
from predictors.contract.openai.errors import InvalidField, error_body
from predictors.contract.openai.fields import CONTINUE_FINAL_MESSAGE
from predictors.contract.openai.requests import ChatRequest, CompletionRequest
from predictors.contract.openai.responses import ChatWriter, CompletionWriter, Writer
from predictors.engines.base import (
    CONTINUES,
    ECHO,
    LOGPROBS,
    MESSAGES,
    PENALTIES,
    RAW,
    TOKENS,
    TextEngine,
)
from predictors.errors import HEMError, UnknownModel, known
from predictors.serving.answers import Answers
from predictors.serving.choices import Choices
from predictors.serving.event_stream import event_stream
from predictors.serving.openai_paths import OpenAIPaths
from predictors.tracing.genai import operation_of
from predictors.upstream.client import forwarded_headers
from predictors.upstream.ledger.decision import decided, from_headers
from predictors.upstream.tenant import tenant, tenant_of


class OpenAIRoutes(OpenAIPaths):
    """Of the model `name`, which `aliases` call too. `check_ready` raises NotReady."""

    def __init__(
        self,
        name: str,
        engine: TextEngine,
        defaults: Sampling,
        check_ready: Callable[[], None],
        aliases: Sequence[str] = (),
        patience: float = 15.0,
        answers: Answers | None = None,
    ) -> None:
        super().__init__(name, *aliases)
        self._answers = answers or Answers(name)
        self._engine = engine
        self._defaults = defaults
        self._check_ready = check_ready
        self._patience = patience

    async def chat(self, request: Request) -> Response:
        return await self._answer(request, ChatRequest, ChatWriter)

    async def completions(self, request: Request) -> Response:
        return await self._answer(request, CompletionRequest, CompletionWriter)

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
            operation = operation_of(request.url.path)
            choices = Choices(self._engine, queries, partial(self._answers.text, operation))
            parameters = from_headers(request.headers)
            whose = tenant(tenant_of(request.headers))
            with forwarded_headers(request.headers), decided(parameters), whose:
                if asked.stream:
                    usage = asked.include_usage
                    return await event_stream(choices, writer, usage, self._patience)
                whole = writer.whole(await choices.whole())
            return Response(whole, media_type="application/json")
        except HEMError as error:
            return error_response(error)


def error_response(error: HEMError) -> JSONResponse:
    return JSONResponse(error_body(error), error.status)


def refuse_untaken(queries: Sequence[Query], engine: TextEngine) -> None:
    """Raises InvalidField for the first field that this engine doesn't take."""
    takes = engine.takes
    for query in queries:
        sampling = query.sampling
        needed = {
            CONTINUE_FINAL_MESSAGE: (query.continues, CONTINUES, "every answer begins anew"),
            "messages": (bool(query.messages), MESSAGES, "one user message alone is taken"),
            "prompt": (query.raw and not query.tokens, RAW, "the chat template can't be left out"),
            "prompt ": (bool(query.tokens), TOKENS, "token ids are not taken"),
            "logprobs": (query.top_logprobs is not None, LOGPROBS, ""),
            "echo": (query.echo, ECHO, "the prompt can't be repeated"),
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
