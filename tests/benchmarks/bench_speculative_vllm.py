"""Milliseconds of a step of the real vLLM that checks drafts, by rows and tokens: its OpenAI server
as it is, asked in both of our ways, and beside them what one token of its own answers takes.

`make bench-vllm` runs it in the environment that has vLLM.
"""

import asyncio
import json
import os
import random
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, Final

import aiohttp
import pytest

from tests.benchmarks.speculation import results
from tests.benchmarks.speculation.cloud import CLOUD, REST
from tests.benchmarks.speculation.load import patient_session
from tests.benchmarks.speculation.shapes import SHAPES, written
from tests.predictors.engines.vllm.openai_server import running

pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(find_spec("vllm") is None, reason="run by make bench-vllm"),
]

NAME: Final = "16M"
ROWS: Final = (1, 2, 4, 8, 16, 32)
TOKENS: Final = (1, 2, 3, 5, 9, 17, 32)
KNOWN: Final = 96  # tokens of each request that were told before
REPEATS: Final = 3
LONGEST: Final = 1.0  # seconds of the repeats of one cell
ANSWER: Final = 64
MOST_PROMPTS: Final = 288  # together, of the way that has one for each token
OPTIONS: Final = ("--block-size", "32", "--max-num-seqs", "256")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM's server on a core of its own, one thread."""
    folder: Path = tmp_path_factory.mktemp("vllm")
    model_dir = written(NAME, folder / "model")
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, CLOUD)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("VLLM_CPU_OMP_THREADS_BIND", ",".join(map(str, CLOUD)))
            with running(model_dir, "m", folder / "log", *OPTIONS) as url:
                os.sched_setaffinity(0, REST)
                yield url
    finally:
        os.sched_setaffinity(0, before)


async def test_what_a_step_takes(url: str) -> None:
    from predictors.engines.speculative.vllm_ways import WAYS

    found: dict[str, Any] = {}
    async with patient_session() as session:
        await decoded(session, url, 1)
        found["decode"] = [[rows, 1, await decoded(session, url, rows)] for rows in ROWS]
        for name, way in WAYS.items():
            found[name] = [
                [rows, tokens, await checked(session, url, way, rows, tokens)]
                for rows in ROWS
                for tokens in TOKENS
                if name != "prefixes" or rows * tokens <= MOST_PROMPTS
            ]
    results.keep(f"curve-vllm-{NAME}", found)
    heads = ["rows", *map(str, TOKENS)]
    for name, steps in found.items():
        print(f"\n{name}, milliseconds by tokens of each row")
        told = {(rows, tokens): 1000 * seconds for rows, tokens, seconds in steps}
        results.table(heads, [[rows, *(told.get((rows, t)) for t in TOKENS)] for rows in ROWS])
    assert all(seconds > 0 for steps in found.values() for _, _, seconds in steps)


async def decoded(session: aiohttp.ClientSession, url: str, rows: int) -> float:
    """Seconds of one step of `rows` answers that are written side by side."""
    chance = random.Random(rows)

    async def one() -> tuple[float, float]:
        body = {"prompt": tokens(chance, KNOWN), "max_tokens": ANSWER, "ignore_eos": True}
        body |= {"model": "m", "temperature": 0, "stream": True}
        times = []
        async with session.post(f"{url}/completions", json=body) as response:
            async for line in response.content:
                if line.startswith(b"data: {"):
                    times.append(time.perf_counter())
        return times[0], times[-1]

    spans = await asyncio.gather(*(one() for _ in range(rows)))
    return median((last - first) / (ANSWER - 1) for first, last in spans)


async def checked(
    session: aiohttp.ClientSession, url: str, way: Any, rows: int, count: int
) -> float:
    """Median seconds until all have their verdict, asked together behind known tokens that the
    server has seen."""
    chance = random.Random(1000 * rows + count)
    found: list[float] = []
    while len(found) < REPEATS and sum(found) < LONGEST:
        known = [tokens(chance, KNOWN) for _ in range(rows)]
        await asyncio.gather(*(asked(session, url, way.fields(each, [])) for each in known))
        bodies = [way.fields(each, tokens(chance, count - 1)) for each in known]
        began = time.perf_counter()
        await asyncio.gather(*(asked(session, url, body) for body in bodies))
        found.append(time.perf_counter() - began)
    return median(found)


async def asked(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> None:
    async with session.post(f"{url}/completions", json={**body, "model": "m"}) as response:
        content = await response.read()
        assert response.status == 200, content
        assert json.loads(content)["choices"]


def tokens(chance: random.Random, count: int) -> list[int]:
    return [chance.randrange(4, SHAPES[NAME].vocabulary) for _ in range(count)]
