"""A predictor whose answers tell how many queries were computed before them.

Run like `python -m predictors`: python -m tests.predictors.cache.counting --model_name m ...
"""

import asyncio
from collections.abc import Sequence

from pydantic import Field

from predictors.__main__ import main
from predictors.contract import Answer, Query
from predictors.engines import ENGINES
from predictors.engines.base import TextEngine
from predictors.errors import EngineError, InvalidRequest
from predictors.serving.command import run
from predictors.settings import EngineSettings


class CountingSettings(EngineSettings):
    model_dir: str = Field("", description="read by nobody")


class CountingEngine(TextEngine):
    """Each `slow` waits for half a second, and tells that it does; `fail` and `refuse` raise; all
    rows of a call at once.

    The count goes up before a query waits or fails, and nothing else is in an answer but the
    query and that count: the same answer again was not computed again.
    """

    Settings = CountingSettings
    computed = 0
    cancelled = 0

    async def start(self) -> None:
        return None

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        return list(await asyncio.gather(*(self._answer(query) for query in queries)))

    async def _answer(self, query: Query) -> Answer:
        self.computed += 1
        count = self.computed
        words = query.text.split()
        if words[0] == "cancelled":
            return Answer(str(self.cancelled))
        if "slow" in words:
            print("counting: waits", flush=True)
            try:
                await asyncio.sleep(0.5 * words.count("slow"))
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        if "fail" in words:
            raise EngineError(f"failed, the {count}.")
        if "refuse" in words:
            raise InvalidRequest("refused")
        return Answer(
            f"{query.text} #{count}" + "x" * 1000 * words.count("long"),
            prompt_tokens=len(words),
            completion_tokens=7,
            time_to_first_token=12.5,
            inter_token_latency=2.5,
            mean_logprob=-0.5,
            min_logprob=-1.5,
            mean_margin=0.25,
        )


if __name__ == "__main__":
    ENGINES.register("counting", "tests.predictors.cache.counting:CountingEngine")
    run(main)
