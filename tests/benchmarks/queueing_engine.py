"""A model as queueing theory has it: so many places, and an answer's time is drawn at random.

`--engine tests.benchmarks.queueing_engine:QueueingEngine`. It costs no computation, so that models
of known speed fit beside each other on a small machine.
"""

import asyncio
import time
from collections.abc import Sequence
from random import Random
from typing import cast

from pydantic import Field

from inferencegraph.simulate.times import parse_times
from predictors.contract import Answer, Query
from predictors.engines.base import EngineSettings, TextEngine


class QueueingSettings(EngineSettings):
    places: int = Field(ge=1, description="queries at once; more wait, first come, first served")
    seconds: str = Field(description="of an answer, as python -m inferencegraph.simulate has them")


class QueueingEngine(TextEngine):
    """Of an answer's two tokens the first comes with the place, and the second at the end. So
    time_to_first_token are the seconds that it waited, inter_token_latency those that it took."""

    Settings = QueueingSettings

    async def start(self) -> None:
        settings = cast(QueueingSettings, self.settings)
        self._places = asyncio.Semaphore(settings.places)
        self._times = parse_times(settings.seconds)
        self._random = Random(0)

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        return [await self._answer() for _ in queries]

    async def _answer(self) -> Answer:
        came = time.perf_counter()
        async with self._places:
            began = time.perf_counter()
            await asyncio.sleep(self._times.draw(self._random))
            ended = time.perf_counter()
        return Answer(
            "42",
            completion_tokens=2,
            time_to_first_token=began - came,
            inter_token_latency=ended - began,
        )
