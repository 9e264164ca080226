"""One HTTP connection: what is slow, silent or endless ends, and an answer arrives once given."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any, cast

import pytest
import uvicorn
import uvloop

from predictors.serving.connection import Bounds, Connections

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]

BOUNDS = Bounds(head_seconds=0.6, body_seconds=0.6, body_rate=5000, unread_seconds=0.6)
PATIENCE = 20.0  # for a loaded machine; an unbounded connection would stay for ever
LONG = b"content-length: 999\r\n\r\n"
MANY = b"".join(b"h%d: 1\r\n" % number for number in range(100))
HEAD = b"POST /PATH HTTP/1.1\r\nhost: x\r\n"


async def app(scope: Any, receive: Any, send: Any) -> None:
    """/refuse answers 413 without reading, /large a body of 32 MiB, /slow after a second; all else
    the body's length."""
    length, more = 0, scope["path"] != "/refuse"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        more = message["more_body"]
    if scope["path"] == "/slow":
        await asyncio.sleep(1)
    refused = scope["path"] == "/refuse"
    body = b"x" * 2**25 if scope["path"] == "/large" else str(length).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    headers += [(b"connection", b"close")] if refused else []
    await send(
        {"type": "http.response.start", "status": 413 if refused else 200, "headers": headers}
    )
    await send({"type": "http.response.body", "body": body})


class Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    """In a thread of its own, on uvloop as all servers of ours."""
    config = uvicorn.Config(
        app,
        port=0,
        http=cast(Any, Connections(BOUNDS)),
        log_level="error",
        timeout_keep_alive=1,
        lifespan="off",
        timeout_graceful_shutdown=1,
    )
    server = Server(config)
    thread = threading.Thread(target=lambda: uvloop.run(server.serve()))
    thread.start()
    while not server.started:
        await asyncio.sleep(0.01)
    yield server
    server.should_exit = True
    await asyncio.to_thread(thread.join)


@pytest.fixture
def connect(server: Server) -> Connect:
    port = server.servers[0].sockets[0].getsockname()[1]
    return lambda: asyncio.open_connection("127.0.0.1", port)


async def answer_to(connect: Connect, *parts: bytes, pause: float = 0, path: str = "") -> bytes:
    """What the server sent until it closed; `parts` go with `pause` seconds between."""
    reader, writer = await connect()
    answer = asyncio.create_task(reader.read())
    for part in parts:
        if answer.done():
            break
        writer.write(part.replace(b"PATH", path.encode()))
        await asyncio.sleep(pause)
    async with asyncio.timeout(PATIENCE):
        got = await answer
    writer.close()
    return got


DRIPPED = [bytes([byte]) for byte in HEAD * 40]
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"
FLOOD = b"y" * 8192


@pytest.mark.parametrize(
    ("parts", "pause", "status"),
    {
        "silent": ([], 0, b""),
        "line feeds only": ([b"\r\n"] * 50, 0.05, b""),
        "headers that stop": ([HEAD], 0, b"408"),
        "headers byte by byte": (DRIPPED, 0.02, b"408"),
        "a body that stops": ([HEAD + b"content-length: 9\r\n\r\n1"], 0, b"408"),
        "a body byte by byte": ([HEAD + LONG, *[b"1"] * 300], 0.02, b"408"),
        "chunks that stop": ([CHUNKED + b"1\r\n1\r\n"], 0, b"408"),
        "chunks byte by byte": ([CHUNKED, *[b"1\r\n1\r\n"] * 300], 0.02, b"408"),
        "a long header at once": ([HEAD + b"h: " + b"y" * 70_000 + b"\r\n\r\n"], 0, b"431"),
        "101 headers": ([HEAD + MANY + b"\r\n"], 0, b"431"),
        "a header without end": ([HEAD + b"h: ", *[FLOOD] * 80], 0.001, b"431"),
        "headers without end": ([HEAD, *[b"h: " + FLOOD + b"\r\n"] * 80], 0.001, b"431"),
        "a name without end": ([HEAD, *[FLOOD] * 80], 0.001, b"431"),
        "a path without end": ([b"POST /", *[FLOOD] * 80], 0.001, b"431"),
        "line feeds without end": ([b"\r\n" * 4096] * 80, 0.001, b"431"),
        "a chunk's extension without end": ([CHUNKED + b"1;", *[FLOOD] * 80], 0.001, b"431"),
        "trailers without end": (
            [CHUNKED + b"1\r\n1\r\n0\r\n", *[b"h: " + FLOOD + b"\r\n"] * 80], 0.001, b"431",
        ),
        "no HTTP": ([b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"], 0, b"400"),
        "two lengths": ([HEAD + b"content-length: 1\r\ncontent-length: 2\r\n\r\n1"], 0, b"400"),
    }.values(),
)  # fmt: skip
async def test_what_is_slow_silent_or_endless_ends(
    connect: Connect, parts: list[bytes], pause: float, status: bytes
) -> None:
    answer = await answer_to(connect, *parts, pause=pause)
    assert answer[9:12] == status
    if answer:
        assert b"connection: close" in answer and b'{"error":"' in answer


async def test_a_body_that_comes_steadily_has_its_time(connect: Connect) -> None:
    parts = [HEAD + b"connection: close\r\ncontent-length: 30000\r\n\r\n", *[b"1" * 1000] * 30]
    began = time.monotonic()
    answer = await answer_to(connect, *parts, pause=0.06)
    assert answer.endswith(b"30000")
    assert time.monotonic() - began > BOUNDS.body_seconds


async def test_a_connection_between_requests_is_let_go_of(connect: Connect) -> None:
    get = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    for parts in ([get], [get, b"\r\n"], [get, get, b"\r\n\r\n"]):
        answer = await answer_to(connect, *parts, pause=0.1)
        assert answer.count(b" 200 ") == parts.count(get) and b"408" not in answer


async def test_a_second_request_may_not_stop_halfway(connect: Connect) -> None:
    whole = HEAD + b"content-length: 1\r\n\r\n1"
    answer = await answer_to(connect, whole, HEAD, pause=0.1)
    assert answer.startswith(b"HTTP/1.1 200") and b"HTTP/1.1 408" in answer


PIECE = b"1" * 100_000


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (b"content-length: 90000000\r\n\r\n", PIECE),
        (b"transfer-encoding: chunked\r\n\r\n", b"186a0\r\n" + PIECE + b"\r\n"),
    ],
)
async def test_an_answer_arrives_before_the_request_was_read(
    connect: Connect, head: bytes, piece: bytes
) -> None:
    """Like most clients it reads only when it has sent everything."""
    reader, writer = await connect()
    writer.write(HEAD.replace(b"PATH", b"refuse") + head)
    for _ in range(900):
        writer.write(piece)
        await writer.drain()
    assert (await asyncio.wait_for(reader.read(), PATIENCE)).startswith(b"HTTP/1.1 413")
    writer.close()


async def test_a_client_that_takes_nothing_of_its_answer_is_let_go_of(
    server: Server, connect: Connect
) -> None:
    _, writer = await connect()
    cast(asyncio.Transport, writer.transport).pause_reading()
    writer.write(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
    await asyncio.sleep(0.2)
    assert server.server_state.connections
    async with asyncio.timeout(PATIENCE):
        while server.server_state.connections:
            await asyncio.sleep(0.05)
    writer.close()


async def test_silent_connections_make_room_for_callers(server: Server, connect: Connect) -> None:
    cast(Any, server.config.http).most = 40
    reader, working = await connect()
    working.write(b"GET /slow HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    await asyncio.sleep(0.05)
    silent = [await connect() for _ in range(200)]
    whole = HEAD + b"connection: close\r\ncontent-length: 1\r\n\r\n1"
    assert (await answer_to(connect, whole)).startswith(b"HTTP/1.1 200")
    assert len(server.server_state.connections) <= 41
    answer = await asyncio.wait_for(reader.read(), PATIENCE)
    assert answer.startswith(b"HTTP/1.1 200")
    for _, writer in [*silent, (reader, working)]:
        writer.close()


async def test_descriptors_come_back_after_a_burst_and_others_are_served(
    server: Server, connect: Connect
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    starts = [b"", HEAD, HEAD + b"content-length: 9\r\n\r\n1", b"\r\n", CHUNKED]
    burst = [await connect() for _ in range(100)]
    for number, (_, writer) in enumerate(burst):
        writer.write(starts[number % len(starts)])
    good = await answer_to(connect, HEAD + b"connection: close\r\ncontent-length: 1\r\n\r\n1")
    assert good.startswith(b"HTTP/1.1 200")
    for reader, writer in burst:
        await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
    async with asyncio.timeout(PATIENCE):
        while server.server_state.connections or len(os.listdir("/proc/self/fd")) > before:
            await asyncio.sleep(0.05)
