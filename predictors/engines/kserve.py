"""Forwards V2 to another predictor. On the edge it is `<x>-uplink`, the near side of the cloud.

An InferenceGraph step that can't be reached ends the graph; one that answers an error body lets
the next step answer. So every failure of the far side becomes an error body here, within
`timeout` seconds, and this predictor is ready whether or not the far side is.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, cast

import httpx
import orjson
from pydantic import Field, field_validator

from predictors.engines.base import EngineSettings, TextEngine
from predictors.errors import (
    ConfigurationError,
    HEMError,
    InvalidRequest,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from predictors.http_client import FORWARDED, build_client, upstream_failure
from predictors.protocol import Answer, Query, parse_answers, sampling_parameters, text_request

# What the caller can mend stays a client error; anything else says that the far side is at fault.
FAR_SIDE: Final[dict[int, type[HEMError]]] = {
    400: InvalidRequest,
    413: InvalidRequest,
    422: InvalidRequest,
    408: UpstreamTimeout,
    429: UpstreamUnavailable,
    503: UpstreamUnavailable,
    504: UpstreamTimeout,
}


class KServeSettings(EngineSettings):
    url: str = Field(description="base URL of the far predictor, http://host[:port]")
    upstream_model: str = Field(description="name of the model there")
    connect_timeout: float = Field(2.0, gt=0, description="seconds to open a connection")
    timeout: float = Field(120.0, gt=0, description="seconds for a whole call")
    ca_bundle: str = Field("", description="PEM file to verify https with; the system's if empty")

    @field_validator("url")
    @classmethod
    def _http_url(cls, url: str) -> str:
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as error:
            raise ValueError(f"is no URL: {error}") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError("must be http://host[:port] or https://host[:port]")
        return url.rstrip("/")


class KServeEngine(TextEngine):
    """V2 JSON over REST, one call for all rows."""

    Settings = KServeSettings
    _client: httpx.AsyncClient

    async def start(self) -> None:
        settings = cast(KServeSettings, self.settings)
        self._url = f"{settings.url}/v2/models/{settings.upstream_model}/infer"
        self._timeout = settings.timeout
        limits = httpx.Timeout(settings.timeout, connect=settings.connect_timeout)
        try:
            self._client = build_client(limits, verify=settings.ca_bundle or True)
        except OSError as error:
            raise ConfigurationError(f"--ca_bundle {settings.ca_bundle!r}: {error}") from None

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        request = text_request(
            [query.text for query in queries], sampling_parameters(queries[0].sampling)
        )
        response = await self._post(orjson.dumps(request))
        if response.status_code != 200:
            raise self._refusal(response)
        try:
            answers = parse_answers(orjson.loads(response.content))
        except ValueError as error:
            raise UpstreamError(f"{self._url} answered {error}") from None
        if len(answers) != len(queries):
            raise UpstreamError(
                f"{self._url} gave {len(answers)} answers to {len(queries)} queries"
            )
        return answers

    async def _post(self, body: bytes) -> httpx.Response:
        headers = {"content-type": "application/json", **FORWARDED.get()}
        try:
            async with asyncio.timeout(self._timeout):
                return await self._client.post(self._url, content=body, headers=headers)
        except (httpx.HTTPError, TimeoutError) as error:
            raise upstream_failure(error, self._url) from error

    def _refusal(self, response: httpx.Response) -> HEMError:
        status = response.status_code
        try:
            reason = str(orjson.loads(response.content)["error"])
        except (ValueError, KeyError, TypeError):
            reason = response.text[:200]
        kind = FAR_SIDE.get(status, UpstreamError)
        if kind is InvalidRequest:
            return InvalidRequest(reason)
        return kind(f"{self._url} answered {status}: {reason}")

    async def close(self) -> None:
        if hasattr(self, "_client"):
            await self._client.aclose()
