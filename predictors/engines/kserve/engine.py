"""The uplink engine.

An InferenceGraph step that can't be reached ends the graph; one that answers an error body lets
the next step answer. So every failure of the far side becomes an error body here, within
`queue_timeout` and `timeout` seconds, and this predictor is ready whether or not the far side is.
"""

from collections.abc import Sequence
from typing import Any, cast

from predictors.contract import (
    Answer,
    Query,
    parse_answers,
    sampling_parameters,
    text_request,
)
from predictors.contract.tensors import TensorRequest, TensorResponse
from predictors.engines.base import TensorEngine, TextEngine
from predictors.engines.kserve.link import LINKS, Link
from predictors.engines.kserve.settings import KServeSettings


class KServeEngine(TextEngine, TensorEngine):
    """One call for all rows of a request."""

    Settings = KServeSettings
    _link: Link

    async def start(self) -> None:
        settings = cast(KServeSettings, self.settings)
        self._link = LINKS.load(settings.transport)(settings)

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        request = text_request(
            [query.text for query in queries], sampling_parameters(queries[0].sampling)
        )

        def read(response: Any) -> list[Answer]:
            answers = parse_answers(response)
            if len(answers) != len(queries):
                raise ValueError(f"{len(answers)} answers to {len(queries)} queries")
            return answers

        return await self._link.infer_text(request, read)

    async def infer(self, request: TensorRequest) -> TensorResponse:
        return await self._link.infer_tensors(request)

    async def close(self) -> None:
        if hasattr(self, "_link"):
            await self._link.close()
