"""An answer that is slow is waited for as long as its server lives; one that drips is not."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as pb

from predictors.contract import Query, Sampling
from predictors.engines.base import TextEngine
from predictors.engines.kserve import KServeEngine, KServeSettings
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.errors import Cause, UpstreamError
from predictors.upstream.settings import Limits
from tests.listening import listening
from tests.predictors.upstream.failing import failing
from tests.predictors.upstream.slow_side import (
    Part,
    completion,
    dripped,
    event,
    head,
    slow_side,
    v2,
)
from tests.predictors.upstream.test_v2_transports import far_side, text_output

DONE = b"data: [DONE]\n\n"
SSE = "text/event-stream"
SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
SIZE = 8_000_000
LONG = 60.0  # far below the 120 s that a call may take, far above what a loaded machine adds


def engine(kind: str, url: str, **options: Any) -> TextEngine:
    given = {"retries": 0, "upstream_model": "far", **options}
    if kind in ("rest", "grpc"):
        return KServeEngine(KServeSettings(url=url, transport=kind, **given))
    stream = kind == "stream"
    return OpenAIAPIEngine(OpenAIAPISettings(url=url, stream=stream, **given))


async def ask(kind: str, url: str, **options: Any) -> str:
    asked = engine(kind, url, **options)
    await asked.start()
    try:
        return (await asked.generate([Query("x", Sampling(repetition_penalty=1.0))]))[0].text
    finally:
        await asked.close()


ANSWERS = {
    "rest": (head(), v2("yes")),
    "whole": (head(), completion("yes")),
    "stream": (head(SSE), event("yes", "stop") + DONE),
}


@asynccontextmanager
async def thinking(kind: str, seconds: float) -> AsyncIterator[str]:
    """A server that is well, and whose every answer takes so long."""
    if kind == "grpc":

        async def infer(request: pb.ModelInferRequest, context: Any) -> pb.ModelInferResponse:
            await asyncio.sleep(seconds)
            return text_output(b"yes")

        async with far_side(infer) as port:
            yield f"http://127.0.0.1:{port}"
        return
    start, body = ANSWERS[kind]
    async with slow_side([(seconds, start + body)]) as url:
        yield url


async def answer_of(kind: str, seconds: float) -> str:
    async with thinking(kind, seconds) as url:
        return await ask(kind, url)


async def test_a_server_that_is_well_is_waited_for_half_a_second_and_half_a_minute() -> None:
    cases = [(kind, seconds) for kind in (*ANSWERS, "grpc") for seconds in SECONDS]
    answers = await asyncio.gather(*(answer_of(*case) for case in cases))
    assert dict(zip(cases, answers, strict=True)) == dict.fromkeys(cases, "yes")


PARTS: dict[str, tuple[str, list[Part]]] = {
    "blank lines before the body": ("rest", [(0, head()), *[(0.5, b"\n")] * 8, (0.5, v2("yes"))]),
    "blank lines of DeepSeek": (
        "whole",
        [(0, head()), *[(0.5, b"\n")] * 8, (0, completion("yes"))],
    ),
    "comments of OpenRouter": (
        "stream",
        [(0, head(SSE)), *[(0.5, b": OPENROUTER PROCESSING\n\n")] * 8, (0, event("yes", "stop"))],
    ),
    "comments of sse-starlette between events": (
        "stream",
        [
            (0, head(SSE) + event("y")),
            *[(0.7, b": ping - 2026-01-01\r\n\r\n")] * 5,
            (0, event("es", "stop")),
        ],
    ),
    "slow tokens": (
        "stream",
        [(0, head(SSE)), (1.5, event("y")), (3, event("e")), (3, event("s", "stop"))],
    ),
    "a head long before the body": ("rest", [(0, head()), (5, v2("yes"))]),
    "a slow network": (
        "rest",
        [(0, head() + b"{"), *[(0.3, b" " * 300)] * 9, (0, v2("yes")[1:])],
    ),
}


@pytest.mark.parametrize(("kind", "parts"), PARTS.values(), ids=PARTS)
async def test_a_server_that_says_that_it_works_is_waited_for(kind: str, parts: list[Part]) -> None:
    async with slow_side(parts) as url:
        assert await ask(kind, url) == "yes"


DRIPS: dict[str, tuple[str, list[Part]]] = {
    "body": ("rest", [(0, head()), *dripped(v2("yes"))]),
    "body of a chat": ("whole", [(0, head()), *dripped(completion("yes"))]),
    "error's body": ("rest", [(0, b"HTTP/1.1 500 X\r\n\r\n"), *dripped(b'{"error": "late"}')]),
    "head": ("rest", dripped(head() + v2("yes"))),
    "event": ("stream", [(0, head(SSE)), *dripped(event("yes", "stop"))]),
    "event after an event": ("stream", [(0, head(SSE) + event("y")), *dripped(event("es"))]),
    "chunks": (
        "rest",
        [
            (0, b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"),
            *[(1.0, b"1\r\n%c\r\n" % byte) for byte in v2("yes")],
        ],
    ),
    "two bytes, twice a second": (
        "rest",
        [(0, head())] + [(0.5, v2("yes")[i : i + 2]) for i in range(0, 90, 2)],
    ),
    "the last bytes": ("rest", [(0, head() + v2("yes")[:-20]), *dripped(v2("yes")[-20:])]),
}


@pytest.mark.parametrize(("kind", "parts"), DRIPS.values(), ids=DRIPS)
async def test_what_drips_is_cut(kind: str, parts: list[Part]) -> None:
    began = time.perf_counter()
    async with slow_side(parts) as url:
        with failing(Cause.TIMEOUT, "drips: its answer comes at less than 256 bytes/s"):
            await ask(kind, url)
    assert time.perf_counter() - began < LONG


@pytest.mark.parametrize("kind", ["rest", "whole", "stream"])
async def test_a_silent_server_is_given_up(kind: str) -> None:
    began = time.perf_counter()
    async with slow_side([(100, b"")], health=lambda: False) as url:
        with failing(Cause.TIMEOUT, r"did not answer, nor tell its health within 1\.5 s"):
            await ask(kind, url)
    assert time.perf_counter() - began < LONG


async def test_without_a_health_timeout_nobody_asks_beside_a_call() -> None:
    asked: list[bool] = []

    def health() -> bool:
        asked.append(True)
        return False

    async with slow_side([(3, head() + v2("yes"))], health) as url:
        assert await ask("rest", url, health_timeout=0) == "yes"
    assert len(asked) <= 1  # by the look after the start, not beside the call


async def test_all_that_wait_are_given_up_at_once_and_nobody_asks_any_more() -> None:
    well = True
    async with slow_side([(100, b"")], lambda: well) as url:
        up = engine("rest", url, breaker_seconds=60)
        await up.start()
        calls = [asyncio.create_task(up.generate([Query("x")])) for _ in range(20)]
        await asyncio.sleep(3)
        assert not any(call.done() for call in calls)
        well = False
        async with asyncio.timeout(LONG):
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all("nor tell its health" in str(outcome) for outcome in outcomes)
        with failing(Cause.UNREACHABLE, "is not called for now: .* nor tell its health"):
            await up.generate([Query("x")])
        await up.close()


STALLS: list[tuple[list[Part], dict[str, Any], str]] = [
    ([(0, head(SSE)), (100, b"")], {"first_byte_timeout": 1}, "began no answer within 1 s"),
    ([(100, b"")], {"first_byte_timeout": 1}, "began no answer within 1 s"),
    ([(0, head(SSE)), *[(0.3, b": ping\n\n")] * 99], {"timeout": 5}, "did not answer within 5 s"),
    (
        [(0, head(SSE) + event("y")), (100, b"")],
        {"between_bytes_timeout": 1},
        r"sent no more of its answer for 1 s \(between_bytes_timeout\)",
    ),
    ([(0, head(SSE) + event("y")), (100, b"")], {"timeout": 20}, "no more of its answer for 2 s"),
    ([(100, b"")], {"timeout": 10}, r"began no answer within 3 s \(first_byte_timeout\)"),
]


@pytest.mark.parametrize(("parts", "options", "said"), STALLS)
async def test_a_stream_of_a_server_that_is_well_may_stall_so_long(
    parts: list[Part], options: dict[str, Any], said: str
) -> None:
    async with slow_side(parts) as url:
        with failing(Cause.TIMEOUT, said):
            await ask("stream", url, **options)


async def test_a_stream_may_take_longer_where_that_is_usual() -> None:
    """A tenth of the time limit is 0.4 s, and ten times the usual gap of 0.2 s is 2 s."""
    pauses = [0.2]
    parts = [(0.0, head(SSE) + event("y"))]
    async with slow_side(parts) as url:
        up = engine("stream", url, timeout=4)
        await up.start()
        sampling = Sampling(repetition_penalty=1.0)
        for pause in (*pauses, 1.0):
            parts[1:] = [(pause, event("es", "stop") + DONE)]
            assert (await up.generate([Query("x", sampling)]))[0].text == "yes"
        await up.close()


async def test_a_call_that_the_watch_ended_is_the_servers_fault() -> None:
    async with slow_side([(100, b"")], health=lambda: False) as url:
        with pytest.raises(UpstreamError) as raised:
            await ask("rest", url)
    assert (raised.value.status, raised.value.retryable, raised.value.down) == (504, False, True)


async def test_a_request_that_is_still_taken_is_waited_for() -> None:
    """A slow line is full of the request: the question about the health stands behind it."""
    answered = asyncio.Event()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET"):
            await answered.wait()
        else:
            left = SIZE
            while left > 0:
                left -= len(await reader.read(65536))
                await asyncio.sleep(0.05)
            writer.write(head() + v2("yes"))
            await writer.drain()
            answered.set()

    async with listening(connection, bound=small_buffer()) as address:
        up = engine("rest", f"http://{address}")
        await up.start()
        assert (await up.generate([Query("x" * SIZE)]))[0].text == "yes"
        await up.close()


def small_buffer() -> socket.socket:
    """What it has not read stays with the caller."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    bound.bind(("127.0.0.1", 0))
    return bound


@asynccontextmanager
async def deaf_after(seconds: float) -> AsyncIterator[str]:
    """Takes requests slowly for so long, and is frozen then: health is never told."""
    loop = asyncio.get_running_loop()
    until: float | None = None

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal until
        if not (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET"):
            until = until or loop.time() + seconds
            while loop.time() < until:
                await reader.read(65536)
                await asyncio.sleep(0.05)
        await asyncio.Event().wait()

    async with listening(connection, bound=small_buffer()) as address:
        yield f"http://{address}"


async def test_a_server_that_freezes_while_its_health_is_asked_is_given_up_soon() -> None:
    """Counted from its last sign of life, not by a whole further question. The first bytes of a
    later call are no such sign: they always go somewhere."""
    taken, health_timeout = 2.0, 3.0
    two_questions = 2 * (Limits().overdue_seconds + health_timeout)
    async with deaf_after(taken) as url:
        up = engine("rest", url, health_timeout=health_timeout)
        await up.start()
        loop = asyncio.get_running_loop()
        began = loop.time()
        calls = [asyncio.create_task(up.generate([Query("x" * SIZE)])) for _ in range(3)]
        with pytest.raises(UpstreamError, match="nor tell its health"):
            await calls[0]
        assert loop.time() - began < two_questions
        await asyncio.gather(*calls, return_exceptions=True)
        await up.close()


async def test_no_question_about_the_health_outlives_its_client() -> None:
    asked = asyncio.Event()
    servers: set[asyncio.Task[Any] | None] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        servers.add(asyncio.current_task())
        if (await reader.readuntil(b"\r\n\r\n")).startswith(b"GET"):
            asked.set()
        await reader.read()

    async with listening(connection) as address:
        up = engine("rest", f"http://{address}")
        await up.start()
        before = asyncio.all_tasks()
        call = asyncio.create_task(up.generate([Query("x")]))
        await asyncio.wait_for(asked.wait(), LONG)
        call.cancel()
        await asyncio.wait([call])
        await up.close()
        assert asyncio.all_tasks() <= before | servers
