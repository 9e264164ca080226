"""What a streamed answer costs whoever reads it: microseconds of processor time a token, and of an
answer beside its tokens. By processor time, so that it is nearly the same on a busy machine."""

import asyncio
import json
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from statistics import median
from typing import Final

import aiohttp
import orjson
import psutil
import pytest

from predictors.contract import Query, Sampling
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from tests.benchmarks.trivial_gateway import trivial_gateway
from tests.conftest import ROOT, ServerProcess, StartServer, free_port

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

ROUNDS: Final = 25
LONG: Final = 150  # tokens of an answer
SHORT: Final = 1
AT_ONCE: Final = 4  # streams of the gateway
RATE: Final = 500  # tokens a second: each arrives alone, as from a model
# Reading costs at most so many times what aiohttp and orjson cost alone.
MOST: Final = 2.0

Read = Callable[[int], Awaitable[None]]  # an answer of so many tokens


@pytest.fixture(scope="module")
def upstream() -> Iterator[int]:
    """Its port."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.trivial_stream", str(port)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        try:
            listens(port)
            yield port
        finally:
            process.terminate()


def listens(port: int) -> None:
    for _ in range(300):
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.1)


@pytest.fixture(scope="module")
def gateway(start_server: StartServer, upstream: int) -> ServerProcess:
    return trivial_gateway(start_server, upstream)


def plain(session: aiohttp.ClientSession, url: str, model: str = "m") -> Read:
    """By aiohttp and orjson, line by line, without a look at what may be wrong."""

    async def read(tokens: int) -> None:
        messages = [{"role": "user", "content": "1 + 1?"}]
        body = {"model": model, "messages": messages, "max_tokens": tokens, "seed": RATE}
        text = ""
        async with session.post(f"{url}/chat/completions", json={**body, "stream": True}) as answer:
            async for line in answer.content:
                if line.startswith(b"data: {"):
                    for choice in orjson.loads(line[6:])["choices"]:
                        text += choice["delta"].get("content") or ""
        assert text.count(" ") == tokens

    return read


def whole(engine: OpenAIAPIEngine) -> Read:
    async def read(tokens: int) -> None:
        (answer,) = await engine.generate([query(tokens)])
        assert answer.text.count(" ") == tokens

    return read


def bit_by_bit(engine: OpenAIAPIEngine) -> Read:
    async def read(tokens: int) -> None:
        deltas = [delta async for delta in engine.stream(query(tokens))]
        assert "".join(delta.text for delta in deltas).count(" ") == tokens

    return read


def query(tokens: int) -> Query:
    return Query("1 + 1?", Sampling(max_tokens=tokens, seed=RATE, repetition_penalty=1))


async def costs(ways: dict[str, Read], used: Callable[[], float]) -> dict[str, tuple[float, float]]:
    """Microseconds a token and of the rest of an answer; the ways take turns."""
    seconds: dict[tuple[str, int], list[float]] = {}
    for round_ in range(ROUNDS + 1):
        for name, read in ways.items():
            for tokens in (SHORT, LONG):
                began = used()
                await read(tokens)
                if round_:
                    seconds.setdefault((name, tokens), []).append(used() - began)
    found = {}
    for name in ways:
        short, long = (1e6 * median(seconds[name, tokens]) for tokens in (SHORT, LONG))
        token = (long - short) / (LONG - SHORT)
        found[name] = (round(token, 1), round(short - SHORT * token))
    return found


async def test_what_a_token_costs_who_reads_it(upstream: int) -> None:
    url = f"http://127.0.0.1:{upstream}/v1"
    settings = OpenAIAPISettings(url=url, upstream_model="m", stream=True, top_logprobs=0)
    engine = OpenAIAPIEngine(settings)
    await engine.start()
    async with aiohttp.ClientSession() as session:
        ways = {"plain": plain(session, url), "whole": whole(engine)}
        found = await costs({**ways, "bit by bit": bit_by_bit(engine)}, time.process_time)
    await engine.close()
    print("\n" + json.dumps({"benchmark": "reading streams", "us_a_token_and_an_answer": found}))
    assert found["whole"][0] < MOST * found["plain"][0]


async def test_what_a_token_costs_the_gateway(gateway: ServerProcess) -> None:
    """Its own process's time, which the system counts in hundredths of a second: all rounds are
    looked at together."""
    process = psutil.Process(gateway.process.pid)

    def used() -> float:
        times = process.cpu_times()
        return float(times.user + times.system)

    async with aiohttp.ClientSession() as session:
        read = plain(session, f"{gateway.url}/v1", "qa")
        await read(LONG)
        began = used()
        for _ in range(ROUNDS):
            await asyncio.gather(*(read(LONG) for _ in range(AT_ONCE)))
        token = 1e6 * (used() - began) / (ROUNDS * LONG * AT_ONCE)
    print("\n" + json.dumps({"benchmark": "gateway's reading", "us_a_token": round(token, 1)}))
