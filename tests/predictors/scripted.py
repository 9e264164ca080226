"""A predictor whose engine does what the query says; for tests of what surrounds engines.

Run like `python -m predictors`: python -m tests.predictors.scripted --model_name m --http_port N
"""

import asyncio
from collections.abc import Sequence

from predictors.__main__ import main
from predictors.contract import Answer, Query
from predictors.engines import ENGINES
from predictors.engines.base import TextEngine
from predictors.errors import EngineError
from predictors.serving.command import run


class ScriptedEngine(TextEngine):
    """`sleep N` takes N seconds, `fail` and `crash` raise, anything else comes back in capitals."""

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        print("scripted: closed", flush=True)

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        return [await self._answer(query) for query in queries]

    async def _answer(self, query: Query) -> Answer:
        words = query.text.split()
        if words[0] == "sleep":
            try:
                await asyncio.sleep(float(words[1]))
            except asyncio.CancelledError:
                print("scripted: cancelled", flush=True)
                raise
        if words[0] == "fail":
            raise EngineError("the script says fail")
        if words[0] == "crash":
            raise RuntimeError("the script says crash")
        return Answer(
            query.text.upper()[: query.sampling.max_tokens],
            prompt_tokens=len(words),
            completion_tokens=1,
            time_to_first_token=0.25,
            mean_logprob=-query.sampling.temperature,
            min_logprob=-1.5,
        )


if __name__ == "__main__":
    ENGINES.register("scripted", "tests.predictors.scripted:ScriptedEngine")
    run(main)
