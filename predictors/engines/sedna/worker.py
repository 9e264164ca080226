"""An old big-model worker as an engine: what Sedna's BigModelService serves, asked as Sedna's
ModelClient asks it.

    POST /NAME/predict   {"data": [...]} -> {"result": [...]}

NAME is the worker's JOB_NAME, which is `sedna` where nobody set it.
"""

import os
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, cast

from pydantic import Field

from predictors.contract import Answer, Query
from predictors.contract.tensors import TensorRequest, TensorResponse
from predictors.engines.base import TensorEngine, TextEngine
from predictors.engines.sedna.results import (
    READERS,
    Result,
    answer_of,
    images_of,
    require,
    response_of,
)
from predictors.engines.side_by_side import side_by_side
from predictors.errors import ConfigurationError, UpstreamError
from predictors.upstream.attempt import unread
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.settings import HTTPURL, HTTPUpstreamSettings, http_url

T = TypeVar("T")

PORT: Final = 5000  # Sedna's


class SednaWorkerSettings(HTTPUpstreamSettings):
    url: HTTPURL | None = Field(
        None, description="http://host:port of the worker; by BIG_MODEL_IP, BIG_MODEL_PORT if empty"
    )
    upstream_model: str = Field(
        "sedna", pattern=r"^[\w.-]+$", description="the worker's JOB_NAME, first part of its path"
    )
    result: Result = Field("text", description="what it gives: text, boxes, probabilities")

    def address(self) -> str:
        """Raises ConfigurationError."""
        host = os.environ.get("BIG_MODEL_IP", "")
        if self.url or not host:
            return self.url or _refuse("--url is required, or BIG_MODEL_IP")
        try:
            return http_url(f"http://{host}:{os.environ.get('BIG_MODEL_PORT') or PORT}")
        except ValueError as error:
            return _refuse(f"BIG_MODEL_IP {host!r} and BIG_MODEL_PORT: the URL {error}")


def _refuse(reason: str) -> str:
    raise ConfigurationError(reason)


class SednaWorkerEngine(TextEngine, TensorEngine):
    """Each row is a call. Ready once started, whether or not the worker is: it may be an uplink."""

    Settings = SednaWorkerSettings
    _http: HTTPUpstream

    async def start(self) -> None:
        options = self._options = cast(SednaWorkerSettings, self.settings)
        described = f"/{options.upstream_model}"
        self._http = HTTPUpstream(
            options.address(),
            options,
            options.client(),
            headers=options.headers(),
            health=described,
        )
        self._path = f"{described}/predict"
        self._http.watch(lambda: self._http.once("GET", described, unread))

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        require("text", self._options.result)
        return await self._rows([[query.text] for query in queries], answer_of)

    async def infer(self, request: TensorRequest) -> TensorResponse:
        result = self._options.result
        require("tensors", result)
        rows = [row.tolist() for row in images_of(request)]
        read = await self._rows(rows, READERS[result])
        try:
            return response_of(read, result)
        except ValueError as error:
            raise UpstreamError(f"the answers of {self._http.url} are unusable: {error}") from None

    async def _rows(self, rows: list[Any], read: Callable[[Any], T]) -> list[T]:
        def result(answer: Any) -> T:
            if not isinstance(answer, dict) or "result" not in answer:
                raise ValueError("not a big-model worker's answer: it has no result")
            return read(answer["result"])

        calls = (self._http.post(self._path, {"data": row}, result) for row in rows)
        return await side_by_side(calls, self._options.max_concurrency)

    async def close(self) -> None:
        if hasattr(self, "_http"):
            await self._http.close()
