"""Settings and engine: one call per row, rows side by side."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from pydantic import Field, SecretStr

from predictors.contract import Answer, Query
from predictors.engines.base import TextEngine
from predictors.engines.side_by_side import side_by_side
from predictors.errors import Cause, ConfigurationError, HEMError, UpstreamError
from predictors.upstream.attempt import Refusal, unread
from predictors.upstream.client import Response
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.openai.answer import streamed_answer, whole_answer
from predictors.upstream.openai.bodies import APIS, Dialect, request_body
from predictors.upstream.settings import HTTPURL, HTTPUpstreamSettings, json_object

KEY_HINT = "it refused the key; see --api_key and --api_key_file (PREDICTOR_API_KEY)"
SHOWN_MODELS = 10
NO_LIST = frozenset({404, 405, 501})  # what servers without GET /models answer


class OpenAIAPISettings(Dialect, HTTPUpstreamSettings):
    url: HTTPURL = Field("http://127.0.0.1:8000/v1", description="base URL, as OpenAI's own /v1")
    upstream_model: str = Field(
        "", description="name of the model there; the one that it lists if empty"
    )
    api_key: SecretStr | None = Field(
        None, description="sent as a bearer token; better by environment or --api_key_file"
    )
    api_key_file: str = Field("", description="file that holds the key, such as a mounted Secret")
    extra_body: SecretStr | None = Field(
        None, description="JSON object of fields to add to each request; null takes one away"
    )

    def key(self) -> str:
        """Empty where no key is set. Raises ConfigurationError, never with the key."""
        key = self.api_key.get_secret_value() if self.api_key else ""
        if key and self.api_key_file:
            raise ConfigurationError("give one of --api_key and --api_key_file")
        option = "api_key_file" if self.api_key_file else "api_key"
        key = (_read(self.api_key_file) if self.api_key_file else key).strip()
        if not key.isascii() or not key.isprintable() or " " in key:
            raise ConfigurationError(
                f"--{option} holds what is not a key: blanks or other characters"
            )
        return key


def _read(path: str) -> str:
    try:
        key = Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"--api_key_file {path!r}: {error}") from None
    if not key.strip():
        raise ConfigurationError(f"--api_key_file {path!r} is empty")
    return key


class OpenAIAPIEngine(TextEngine):
    """Ready once started, whether or not the far side is: it may be an uplink."""

    Settings = OpenAIAPISettings
    _http: HTTPUpstream

    async def start(self) -> None:
        settings = self._options = cast(OpenAIAPISettings, self.settings)
        key = settings.key()
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._http = HTTPUpstream(
            settings.url,
            settings,
            settings.client(),
            headers={**headers, **settings.headers()},
            refused=_refused,
        )
        self._api = APIS[settings.api]
        self._extra = json_object(settings, "extra_body")
        self._listed = ""
        self._http.watch(self._look)

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        model = self._options.upstream_model or self._listed or await self._only_model()
        if len(queries) == 1:
            return [await self._row(queries[0], model)]
        return await side_by_side(self._row(query, model) for query in queries)

    async def _row(self, query: Query, model: str) -> Answer:
        body = request_body(query, model, self._options, self._extra)
        try:
            if self._options.stream:
                return await self._streamed(body)
            return await self._http.post(
                self._api.path, body, lambda response: whole_answer(response, self._api)
            )
        except UpstreamError as error:
            if error.cause is Cause.REFUSED and not error.retryable:
                self._listed = ""  # the server may have come back with another model
            raise

    async def _streamed(self, body: dict[str, Any]) -> Answer:
        async def read(response: Response, begin: float) -> Answer:
            return await streamed_answer(response, self._api, begin)

        return await self._http.stream(self._api.path, body, read)

    async def _only_model(self) -> str:
        self._listed = await self._http.get("/models", self._read_models)
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
            await self._http.once("GET", "/models", unread)
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
