"""The uplink: forwards V2, and turns each failure of the far side into an error with its status."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from predictors.contract import (
    Answer,
    Query,
    Sampling,
)
from predictors.engines.kserve import KServeEngine, KServeSettings
from predictors.errors import (
    Cause,
    ConfigurationError,
    HEMError,
    InvalidRequest,
    UpstreamError,
)
from predictors.settings import read_settings
from predictors.upstream.client import forwarded_headers
from tests.conftest import ServerProcess, StartServer, free_port
from tests.listening import listening
from tests.predictors.engines.answering import answering
from tests.predictors.upstream.failing import failing

Respond = Callable[[int, bytes], Awaitable[str]]
QUERY = Query("hello", Sampling(temperature=0))


@pytest.fixture
async def respond() -> AsyncIterator[Respond]:
    """respond(status, body) is the URL of a far side that always answers so."""
    async with AsyncExitStack() as servers:

        async def start(status: int, body: bytes) -> str:
            return await servers.enter_async_context(answering(body, status=status))

        yield start


async def ask(url: str, *queries: Query, timeout: float = 5.0) -> list[Answer]:
    engine = KServeEngine(KServeSettings(url=url, upstream_model="m", timeout=timeout))
    await engine.start()
    try:
        return await engine.generate(queries or (QUERY,))
    finally:
        await engine.close()


async def test_rows_sampling_and_telemetry_cross_the_link(scripted: ServerProcess) -> None:
    queries = [Query(text, Sampling(max_tokens=3, temperature=0.5)) for text in ("four", "b")]
    answers = await ask(scripted.url, *queries)
    assert [answer.text for answer in answers] == ["FOU", "B"]
    assert [answer.mean_logprob for answer in answers] == [-0.5, -0.5]
    assert answers[0].served_by == "m"
    assert answers[0].mean_margin is None


@pytest.mark.parametrize(
    ("status", "body", "ours", "reason"),
    [
        (400, b'{"error": "too long"}', 400, "^too long$"),
        (413, b'{"error": "too big"}', 400, "^too big$"),
        (401, b'{"error": "who?"}', 502, "answered 401: who"),
        (404, b'{"error": "no model"}', 502, "answered 404: no model"),
        (429, b"", 503, "answered 429"),
        (500, b"<html>Oops</html>", 502, "answered 500: <html>"),
        (503, b'{"error": "loading"}', 503, "loading"),
        (504, b'["x"]', 504, "answered 504"),
        (200, b"<html>Login</html>", 502, "is unusable"),
        (200, b'{"outputs": []}', 502, "V2 response"),
        (200, b'{"outputs":[{"name": "text_output", "data": ["a", "b"]}]}', 502, "2 answers"),
    ],
)
async def test_what_the_far_side_answers_decides_the_error(
    respond: Respond, status: int, body: bytes, ours: int, reason: str
) -> None:
    with pytest.raises(HEMError, match=reason) as raised:
        await ask(await respond(status, body))
    assert type(raised.value) is (InvalidRequest if ours == 400 else UpstreamError)
    assert raised.value.status == ours
    assert getattr(raised.value, "answered", None) in (None, status)


async def test_a_far_side_that_is_down_is_unavailable_at_once() -> None:
    async with asyncio.timeout(20):
        with failing(Cause.UNREACHABLE, match="can't be reached"):
            await ask(f"http://127.0.0.1:{free_port()}", timeout=60)


async def test_a_far_side_that_is_too_slow_is_a_timeout(scripted: ServerProcess) -> None:
    with failing(Cause.TIMEOUT):
        await ask(scripted.url, Query("sleep 5", Sampling()), timeout=0.2)


async def test_tracing_headers_cross_the_link() -> None:
    seen: dict[str, Any] = {}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen["head"] = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        body = json.dumps({"outputs": [{"name": "text_output", "data": ["a"]}]}).encode()
        writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()

    async with listening(answer) as address:
        with forwarded_headers({"x-request-id": "r-7", "authorization": "secret"}):
            await ask(f"http://{address}")
    assert "x-request-id: r-7" in seen["head"]
    assert "secret" not in seen["head"]


@pytest.mark.parametrize("url", ["ftp://x", "localhost:80", "", "http://x:port", "http://x/v2?a=b"])
def test_a_url_that_is_none_is_refused_at_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="--url"):
        read_settings(KServeSettings, {"url": url, "upstream_model": "m"})


def test_an_uplink_is_ready_though_the_far_side_is_down(start_server: StartServer) -> None:
    uplink = start_server(
        "predictors",
        *("--model_name", "up", "--engine", "kserve", "--upstream_model", "cloud"),
        *("--url", f"http://127.0.0.1:{free_port()}"),
        ready="/v2/models/up/ready",
    )
    assert uplink.process.poll() is None
