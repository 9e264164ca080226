"""A failed call gets the status that says who is at fault."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from predictors.errors import Cause, UpstreamError
from predictors.upstream.client import FORWARDED, build_client, forwarded_headers
from predictors.upstream.connection_failures import connection_failure
from tests.conftest import free_port
from tests.listening import listening
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

    async def truncates(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{")
        await writer.drain()

    async def hangs(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(closes) as one, listening(truncates) as other, listening(hangs) as third:
        addresses = {"closes": one, "truncates": other, "hangs": third}
        yield {name: f"http://{address}/" for name, address in addresses.items()}


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

    async with listening(answer) as address, build_client(5.0) as client:
        for _ in range(3):
            response = await client.post(f"http://{address}/", content=b"{}")
            assert response.headers["set-cookie"] == "replica=7; Path=/"
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

    async with listening(answer) as address, build_client(30, connect=0.2) as client:
        calls = [asyncio.create_task(client.post(f"http://{address}/")) for _ in range(3)]
        for _ in range(4):
            await asyncio.sleep(0)
            time.sleep(0.3)  # what a burst of requests does to the loop
        responses = await asyncio.gather(*calls)
    assert [response.status_code for response in responses] == [200, 200, 200]
