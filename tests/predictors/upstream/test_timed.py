"""POSTs under measurement: kept connections, times, bytes, and a cause for each failure."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from time import perf_counter

import pytest
import trustme

from predictors.errors import Cause
from predictors.upstream.timed import Exchange, TimedServer
from tests.conftest import free_port

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
REQUEST = b"POST /v2/x?a=b HTTP/1.1"


class Peer:
    """Answers the nth request of all connections with the nth of `answers`, part by part: bytes,
    or an event that is waited for. Then None closes the connection."""

    def __init__(self, answers: Sequence[Sequence[bytes | asyncio.Event | None]]) -> None:
        self._answers = list(answers)
        self.requests: list[bytes] = []
        self.connections = 0
        self.tasks: list[asyncio.Task[None] | None] = []

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.tasks.append(asyncio.current_task())
        try:
            while self._answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                for part in self._answers.pop(0):
                    if part is None:
                        return
                    if isinstance(part, bytes):
                        writer.write(part)
                        await writer.drain()
                    else:
                        await part.wait()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.transport.abort()


@contextlib.asynccontextmanager
async def peer(
    *answers: Sequence[bytes | asyncio.Event | None], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Peer, str]]:
    made, port = Peer(answers), free_port()
    server = await asyncio.start_server(made.connection, "127.0.0.1", port, ssl=tls)
    yield made, f"{'https' if tls else 'http'}://localhost:{port}/v2/x?a=b"
    server.close()
    for task in filter(None, made.tasks):
        task.cancel()
        await asyncio.wait([task])
    await asyncio.sleep(0)  # in which the sockets close


async def post(url: str, times: int = 1, seconds: float = 5.0) -> list[Exchange]:
    server = TimedServer(url, {"authorization": "Bearer k"}, seconds=seconds)
    try:
        return [await server.post(b'{"n": 1}') for _ in range(times)]
    finally:
        server.close()


async def test_a_request_has_its_path_its_headers_and_its_body() -> None:
    async with peer([OK]) as (far, url):
        (exchange,) = await post(url)
    head, _, body = far.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(REQUEST)
    assert b"authorization: Bearer k" in head and body == b'{"n": 1}'
    assert exchange.sent_bytes == len(far.requests[0])
    assert exchange.received_bytes == len(OK)
    assert (exchange.status, exchange.body, exchange.failure) == (200, b"{}", None)
    assert exchange.sent <= exchange.parts[0][0] <= exchange.end


async def test_a_connection_is_kept_until_the_server_says_otherwise() -> None:
    closing = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}"
    async with peer([OK], [OK], [closing], [OK]) as (far, url):
        exchanges = await post(url, 4)
    assert [exchange.body for exchange in exchanges] == [b"{}"] * 4
    assert far.connections == 2


async def test_each_part_of_a_body_has_the_time_when_it_came() -> None:
    go_on = asyncio.Event()
    head = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    answer = [head + b"3\r\none\r\n", go_on, b"3\r\ntwo\r\n", b"0\r\n\r\n"]
    async with peer(answer) as (_, url):
        released: list[float] = []

        def release() -> None:
            released.append(perf_counter())
            go_on.set()

        asyncio.get_running_loop().call_later(0.3, release)
        (exchange,) = await post(url)
    (first, one), (second, two) = exchange.parts
    assert (one, two) == (b"one", b"two")
    assert first < released[0] < second
    assert exchange.end >= second


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        ([b"HTTP/1.1 100 Continue\r\n\r\n", OK], b"{}"),
        ([b"HTTP/1.1 200 OK\r\n\r\nto the end", None], b"to the end"),
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], b""),
    ],
)
async def test_answers_of_other_shapes(answer: list[bytes], body: bytes) -> None:
    async with peer(answer) as (_, url):
        (exchange,) = await post(url)
    assert (exchange.body, exchange.status, exchange.failure) == (body, 200, None)


@pytest.mark.parametrize(
    ("answer", "cause", "says"),
    [
        ([None], Cause.UNREACHABLE, "closed the connection"),
        ([OK[:-1], None], Cause.UNREACHABLE, "broke off its answer"),
        ([b"SSH-2.0-OpenSSH\r\n"], Cause.UNUSABLE, "did not answer with HTTP"),
        ([asyncio.Event()], Cause.TIMEOUT, "did not answer in time"),
        (
            [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n", None],
            Cause.UNREACHABLE,
            "broke off its answer",
        ),
    ],
)
async def test_a_failure_has_a_cause(answer: list[bytes], cause: Cause, says: str) -> None:
    async with peer(answer) as (_, url):
        (exchange,) = await post(url, seconds=0.2)
    assert exchange.failure is cause
    assert says in exchange.detail
    assert exchange.end >= exchange.sent > 0


async def test_behind_a_failure_the_next_call_has_a_connection_of_its_own() -> None:
    async with peer([None], [OK]) as (far, url):
        failed, answered = await post(url, 2)
    assert (failed.failure, answered.failure) == (Cause.UNREACHABLE, None)
    assert far.connections == 2


async def test_nobody_listens() -> None:
    (exchange,) = await post(f"http://127.0.0.1:{free_port()}/")
    assert exchange.failure is Cause.UNREACHABLE
    assert exchange.detail == "can't be reached: Connection refused"


async def test_tls_is_verified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    async with peer([OK], [OK], tls=context) as (_, url):
        (unknown,) = await post(url)
        bundle = tmp_path / "ca.pem"
        authority.cert_pem.write_to_path(bundle)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        (known,) = await post(url)
    assert unknown.failure is Cause.CERTIFICATE
    assert (known.status, known.body) == (200, b"{}")
