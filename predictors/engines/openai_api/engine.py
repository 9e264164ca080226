"""Settings and engine: one call per row, rows side by side."""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Annotated, Any, cast

from pydantic import AfterValidator, Field

from predictors.contract import Answer, Delta, Query
from predictors.contract.openai.fields import OPTIONS
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
from predictors.engines.side_by_side import side_by_side
from predictors.errors import Cause, HEMError, UpstreamError
from predictors.upstream.attempt import Refusal, unread
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.openai.bodies import APIS, Dialect, api_of, request_body
from predictors.upstream.openai.client import (
    MAX_COMPLETION_TOKENS,
    MAX_TOKENS,
    Completions,
    reasons,
)
from predictors.upstream.openai.endpoint import KEY_HINT, Endpoint, Keyed, base_url
from predictors.upstream.openai.refusals import UnsupportedFields, told
from predictors.upstream.settings import HTTPUpstreamSettings

MODELS = "/models"
SHOWN_MODELS = 10
NO_LIST = frozenset({404, 405, 501})  # what servers without GET /models answer


class OpenAIAPISettings(Dialect, Keyed, Endpoint, HTTPUpstreamSettings):
    url: Annotated[str, AfterValidator(base_url)] = Field(
        "http://127.0.0.1:8000/v1",
        description="base URL, as OpenAI's own /v1; with its parameters, as Azure's ?api-version=",
    )


class OpenAIAPIEngine(TextEngine):
    """Ready once started, whether or not the far side is: it may be an uplink."""

    Settings = OpenAIAPISettings
    remote = True
    takes = frozenset({CONTINUES, ECHO, LOGPROBS, MESSAGES, PENALTIES, RAW, TOKENS, *OPTIONS})
    _http: HTTPUpstream

    async def start(self) -> None:
        settings = self._options = cast(OpenAIAPISettings, self.settings)
        self._http = HTTPUpstream(
            settings.url,
            settings,
            settings.client(),
            headers=settings.headers_with(settings.key()),
            refused=told(_refused),
            health=MODELS,
        )
        self._api = APIS[settings.api]
        self._completions = {api.path: Completions(self._http, api) for api in APIS.values()}
        self._extra = settings.extra_fields()
        self._listed = ""
        self._http.watch(self._look)

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        model = await self._model()
        if len(queries) == 1:
            return [await self._row(queries[0], model)]
        rows = (self._row(query, model) for query in queries)
        return await side_by_side(rows, self._options.max_concurrency)

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        body = self.body(query, await self._model(), stream=True)
        completions = self._completions[api_of(query, self._options).path]
        with self._told():
            async with aclosing(completions.stream(body)) as parts:
                async for part in parts:
                    yield part

    async def _row(self, query: Query, model: str) -> Answer:
        body = self.body(query, model)
        with self._told():
            return await self._completions[api_of(query, self._options).path].complete(body)

    async def _model(self) -> str:
        return self._options.upstream_model or self._listed or await self._only_model()

    def body(self, query: Query, model: str, *, stream: bool = False) -> dict[str, Any]:
        """Of the request for an answer to `query`."""
        by_name = MAX_COMPLETION_TOKENS if reasons(model) else MAX_TOKENS
        field = self._options.max_tokens_field or by_name
        return request_body(query, model, field, self._options, self._extra, stream=stream)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Around a call: its refusals say what to do, and are learned from."""
        try:
            yield
        except UnsupportedFields as error:
            without = ", ".join(f'"{name}": null' for name in sorted(error.names))
            raise UnsupportedFields(
                f"{error} (to leave it out: --extra_body '{{{without}}}')", error.names
            ) from None
        except UpstreamError as error:
            if error.cause is Cause.REFUSED and not error.retryable:
                self._listed = ""  # the server may have come back with another model
            raise

    async def _only_model(self) -> str:
        self._listed = await self._http.get(MODELS, self._read_models)
        return self._listed

    def _read_models(self, response: Any) -> str:
        try:
            names = [str(model["id"]) for model in response["data"]]
        except (KeyError, TypeError):
            raise ValueError("not a list of models; name one with --upstream_model") from None
        if len(names) != 1:
            listed = ", ".join(names[:SHOWN_MODELS]) or "none"
            raise ValueError(f"a list of models ({listed}); choose one with --upstream_model")
        return names[0]

    async def _look(self) -> None:
        """The list of models; where there is none, a call without model and prompt. Neither costs
        a token, and a wrong key shows in both."""
        try:
            await self._http.once("GET", MODELS, unread)
        except UpstreamError as error:
            if error.answered not in NO_LIST:
                raise
            await self._http.once("POST", self._api.path, unread, b"{}")

    async def close(self) -> None:
        if hasattr(self, "_http"):
            await self._http.close()


def _refused(refusal: Refusal) -> HEMError:
    """A refused key is the predictor's, not the caller's."""
    if refusal.status in (401, 403):
        return replace(refusal, reason=KEY_HINT).error()
    return refusal.relayed()
