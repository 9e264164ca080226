"""A predictor whose engine does what the query says; for tests of what surrounds engines.

Run like `python -m predictors`: python -m tests.predictors.scripted --model_name m --http_port N
"""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Final

from predictors.__main__ import main
from predictors.contract import Answer, Delta, Query, ScoredToken
from predictors.engines import ENGINES
from predictors.engines.base import LOGPROBS, MESSAGES, TextEngine
from predictors.errors import EngineError
from predictors.serving.command import run

AT_FIRST: Final = ("sleep", "until")
BETWEEN: Final = ("pause", "until")


async def wait(kind: str, what: str) -> None:
    print("scripted: waits", flush=True)
    if kind != "until":
        return await asyncio.sleep(float(what))
    async with asyncio.timeout(60):
        while not Path(what).exists():
            await asyncio.sleep(0.02)


class ScriptedEngine(TextEngine):
    """`sleep N` takes N seconds, `until FILE` as long as there is no such file, `fail` and `crash`
    raise, anything else comes back in capitals.

    A stream has a word in each part. In it `pause N` and `until FILE` wait before the next word,
    and `break` fails there; they are words of the answer too.

    It prints `scripted: waits` where it begins to, and `scripted: cancelled` where it is.
    """

    takes = frozenset({LOGPROBS, MESSAGES})

    async def start(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        print("scripted: closed", flush=True)

    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        return [await self._answer(query) for query in queries]

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        answer = await self._answer(query)
        words, said = answer.text.split(" "), query.text.split(" ")
        try:
            for place, word in enumerate(words):
                text = word if place == len(words) - 1 else f"{word} "
                tokens = (ScoredToken(text, -0.5, ((text, -0.5), ("other", -1.5))),)
                yield Delta(text, tokens=tokens)
                if word == "BREAK":
                    raise EngineError("the script says break")
                if place and said[place] in BETWEEN:
                    await wait(said[place], said[place + 1])
        except (asyncio.CancelledError, GeneratorExit):
            print("scripted: cancelled", flush=True)
            raise
        yield Delta(finish_reason="stop", answer=answer)

    async def _answer(self, query: Query) -> Answer:
        words = query.text.split()
        if words[0] in AT_FIRST:
            try:
                await wait(words[0], words[1])
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
