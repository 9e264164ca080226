"""The uplink engine.

An InferenceGraph step that can't be reached ends the graph; one that answers an error body lets
the next step answer. So every failure of the other predictor becomes an error body here, within
`queue_timeout` and `timeout` seconds, and this one is ready whether or not the other is.
"""

from collections.abc import Sequence
from typing import Any, cast

from pydantic import Field

from predictors.contract import Answer, Query, parse_answers, sampling_parameters, text_request
from predictors.contract.tensors import TensorRequest, TensorResponse
from predictors.engines.base import TensorEngine, TextEngine
from predictors.upstream.settings import HTTPURL, HTTPUpstreamSettings
from predictors.upstream.v2 import TRANSPORTS, V2Client, V2Model


class KServeSettings(HTTPUpstreamSettings):
    url: HTTPURL = Field(description="base URL of the far predictor, http://host[:port]")
    upstream_model: str = Field(description="name of the model there")
    transport: str = Field("rest", description="rest, or grpc (https in the URL is TLS for both)")


class KServeEngine(TextEngine, TensorEngine):
    """One call for all rows of a request."""

    Settings = KServeSettings
    _far: V2Client

    async def start(self) -> None:
        settings = cast(KServeSettings, self.settings)
        model = V2Model(
            settings.url,
            settings.upstream_model,
            headers=settings.headers(),
            ca_bundle=settings.ca_bundle,
            proxy=settings.proxy.get_secret_value() if settings.proxy else None,
        )
        self._far = TRANSPORTS.load(settings.transport)(model, settings)
        self._far.watch()

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        request = text_request(
            [query.text for query in queries], sampling_parameters(queries[0].sampling)
        )

        def read(response: Any) -> list[Answer]:
            answers = parse_answers(response)
            if len(answers) != len(queries):
                raise ValueError(f"{len(answers)} answers to {len(queries)} queries")
            return answers

        return await self._far.infer_text(request, read)

    async def infer(self, request: TensorRequest) -> TensorResponse:
        return await self._far.infer_tensors(request)

    async def close(self) -> None:
        if hasattr(self, "_far"):
            await self._far.close()
