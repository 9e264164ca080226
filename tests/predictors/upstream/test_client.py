"""A failed call gets the status that says who is at fault."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from predictors.errors import Cause, UpstreamError
from predictors.upstream.client import (
    FORWARDED,
    build_client,
    connection_failure,
    forwarded_headers,
)
from tests.conftest import free_port
from tests.predictors.upstream.deaf_port import deaf_port


async def failure_of(url: str, timeout: float = 0.5) -> UpstreamError:
    client = build_client(timeout)
    try:
        await client.post(url, content=b"{}")
    except httpx.HTTPError as error:
        return connection_failure(error, url)
    finally:
        await client.aclose()
    raise AssertionError("the call succeeded")


@pytest.fixture
async def misbehaving() -> AsyncIterator[dict[str, str]]:
    async def closes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async def truncates(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    servers = {
        name: await asyncio.start_server(handler, "127.0.0.1", 0)
        for name, handler in {"closes": closes, "truncates": truncates, "hangs": hangs}.items()
    }
    yield {n: f"http://127.0.0.1:{s.sockets[0].getsockname()[1]}/" for n, s in servers.items()}
    for server in servers.values():
        server.close()


async def test_a_port_where_nothing_listens_is_unavailable() -> None:
    failure = await failure_of(f"http://127.0.0.1:{free_port()}/")
    assert (failure.cause, failure.status) == (Cause.UNREACHABLE, 503)
    assert "can't be reached" in str(failure)


async def test_a_server_that_never_answers_is_a_timeout(misbehaving: dict[str, str]) -> None:
    failure = await failure_of(misbehaving["hangs"], timeout=0.2)
    assert (failure.cause, failure.status) == (Cause.TIMEOUT, 504)


async def test_a_server_that_closes_before_it_answers_is_unavailable(
    misbehaving: dict[str, str],
) -> None:
    failure = await failure_of(misbehaving["closes"])
    assert (failure.cause, failure.status) == (Cause.UNREACHABLE, 503)
    assert "closed the connection" in str(failure)


async def test_an_answer_cut_in_the_middle_is_a_bad_gateway(misbehaving: dict[str, str]) -> None:
    failure = await failure_of(misbehaving["truncates"])
    assert (failure.cause, failure.status) == (Cause.UNREACHABLE, 502)


def test_tracing_headers_are_passed_on_and_credentials_are_not() -> None:
    with forwarded_headers({"X-Request-Id": "7", "authorization": "secret", "traceparent": "t"}):
        assert FORWARDED.get() == {"X-Request-Id": "7", "traceparent": "t"}
    assert FORWARDED.get() == {}


async def test_cookies_of_a_server_are_not_sent_with_other_callers_requests() -> None:
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        cookie = b"set-cookie: replica=7; Path=/\r\nconnection: close\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + cookie + b"content-length: 2\r\n\r\n{}")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with build_client(5.0) as client:
        for _ in range(3):
            response = await client.post(url, content=b"{}")
            assert response.headers["set-cookie"] == "replica=7; Path=/"
    server.close()
    assert len(asked) == 3
    assert not [head for head in asked if b"cookie" in head.lower()]


async def test_a_server_that_takes_no_connection_is_a_timeout_that_may_pass() -> None:
    with deaf_port() as port:
        failure = await failure_of(f"http://127.0.0.1:{port}/", timeout=0.2)
    assert failure.cause is Cause.TIMEOUT
    assert "no connection in time" in str(failure)
    assert failure.retryable


async def test_a_busy_loop_is_not_taken_for_a_server_that_is_down() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    client = build_client(30, connect=0.2)
    calls = [asyncio.create_task(client.post(url)) for _ in range(3)]
    for _ in range(4):
        await asyncio.sleep(0)
        time.sleep(0.3)  # what a burst of requests does to the loop
    responses = await asyncio.gather(*calls)
    await client.aclose()
    server.close()
    assert [response.status_code for response in responses] == [200, 200, 200]
