"""The uplink engine.

An InferenceGraph step that can't be reached ends the graph; one that answers an error body lets
the next step answer. So every failure of the other predictor becomes an error body here, within
`queue_timeout` and `timeout` seconds, and this one is ready whether or not the other is.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Final, cast

from pydantic import Field

from predictors.contract import (
    MAX_TOKENS,
    REPETITION_PENALTY,
    Answer,
    Delta,
    Query,
    parse_answers,
    sampling_parameters,
    text_request,
)
from predictors.contract.openai.fields import OPTIONS
from predictors.contract.tensors import TensorRequest, TensorResponse
from predictors.engines.base import (
    CONTINUES,
    ECHO,
    LOGPROBS,
    MESSAGES,
    PENALTIES,
    RAW,
    TOKENS,
    EngineSettings,
    TensorEngine,
    TextEngine,
)
from predictors.upstream.ledger.sent import used
from predictors.upstream.openai.bodies import Dialect, api_of, request_body
from predictors.upstream.settings import HTTPURL, HTTPUpstreamSettings
from predictors.upstream.v2 import TRANSPORTS, V2Client, V2Model

# That of our own predictors.
DIALECT: Final = Dialect.model_validate(
    {"repetition_penalty_field": REPETITION_PENALTY, "top_logprobs": 0}
)


class KServeSettings(HTTPUpstreamSettings):
    url: HTTPURL = Field(description="base URL of the far predictor, http://host[:port]")
    upstream_model: str = Field(description="name of the model there")
    transport: str = Field("rest", description="rest, or grpc (https in the URL is TLS for both)")


class KServeEngine(TextEngine, TensorEngine):
    """One call for all rows of a request; a stream, and what V2 has not, over the far predictor's
    OpenAI routes, which gRPC has not."""

    Settings = KServeSettings
    remote = True
    _far: V2Client

    def __init__(self, settings: EngineSettings) -> None:
        super().__init__(settings)
        if cast(KServeSettings, settings).transport == "rest":
            ours = {CONTINUES, ECHO, LOGPROBS, MESSAGES, PENALTIES, RAW, TOKENS}
            self.takes = frozenset({*ours, *OPTIONS})

    async def start(self) -> None:
        settings = cast(KServeSettings, self.settings)
        model = V2Model(
            settings.url,
            settings.upstream_model,
            headers=settings.headers(),
            ca_bundle=settings.ca_bundle,
            client_cert=settings.client_cert,
            client_key=settings.client_key,
            proxy=settings.proxy.get_secret_value() if settings.proxy else None,
        )
        self._far = TRANSPORTS.load(settings.transport)(model, settings)
        self._far.watch()
        self._completions = self._far.completions()

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        request = text_request(
            [query.text for query in queries], sampling_parameters(queries[0].sampling)
        )

        def read(response: Any) -> list[Answer]:
            answers = parse_answers(response)
            if len(answers) != len(queries):
                raise ValueError(f"{len(answers)} answers to {len(queries)} queries")
            used(
                answers[0].served_by,
                sum(answer.prompt_tokens or 0 for answer in answers),
                sum(answer.completion_tokens or 0 for answer in answers),
            )
            return answers

        return await self._far.infer_text(request, read)

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        if not self._completions:
            async for part in super().stream(query):
                yield part
            return
        settings = cast(KServeSettings, self.settings)
        body = request_body(query, settings.upstream_model, MAX_TOKENS, DIALECT, {}, stream=True)
        async with aclosing(self._completions[api_of(query, DIALECT).path].stream(body)) as parts:
            async for part in parts:
                yield part

    async def infer(self, request: TensorRequest) -> TensorResponse:
        return await self._far.infer_tensors(request)

    async def close(self) -> None:
        if hasattr(self, "_far"):
            await self._far.close()
