"""A far side that fails is told in log and metrics: once from a look without tokens, then from
calls."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from predictors.contract import Query, Sampling
from predictors.engines.base import TextEngine
from predictors.engines.kserve import KServeEngine, KServeSettings
from predictors.engines.openai_api import OpenAIAPIEngine, OpenAIAPISettings
from predictors.errors import Cause, HEMError, InvalidRequest, UpstreamError
from predictors.upstream import probe as module
from predictors.upstream.probe import Standing, Told, fault, probe, told
from tests.conftest import free_port
from tests.listening import listening
from tests.predictors.upstream.metrics import failing, up
from tests.waiting import until

Handler = Callable[[str, str], tuple[int, str]]  # method and path -> status and body
V2 = '{"outputs": [{"name": "text_output", "data": ["a"]}]}'
QUERY = Query("x", Sampling(temperature=0))


class FarSide:
    """Answers by `handler`; `asked` are the first lines and the bodies that it got."""

    def __init__(self, handler: Handler) -> None:
        self.handler = handler
        self.asked: list[tuple[str, str]] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = dict(line.lower().split(": ", 1) for line in head.strip().split("\r\n")[1:])
        body = await reader.readexactly(int(lines.get("content-length", 0)))
        method, path, _ = head.split(" ", 2)
        self.asked.append((f"{method} {path}", body.decode()))
        status, answer = self.handler(method, path)
        writer.write(f"HTTP/1.1 {status} X\r\nconnection: close\r\n".encode())
        writer.write(f"content-length: {len(answer)}\r\n\r\n{answer}".encode())
        await writer.drain()


Start = Callable[[Handler], Awaitable[tuple[str, FarSide]]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    async with AsyncExitStack() as servers:

        async def begin(handler: Handler) -> tuple[str, FarSide]:
            far = FarSide(handler)
            return f"http://{await servers.enter_async_context(listening(far.serve))}", far

        yield begin


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(module, "NEXT_SECONDS", 0.02)


def kserve(url: str) -> TextEngine:
    return KServeEngine(KServeSettings(url=url, upstream_model="m", retries=0, breaker_failures=2))


def openai(url: str) -> TextEngine:
    return OpenAIAPIEngine(OpenAIAPISettings(url=url, upstream_model="m", api_key="sk-secret"))


@pytest.mark.parametrize(
    ("build", "status", "reason"),
    [
        (openai, 401, "refused the key (401)"),
        (openai, 403, "refused the key (403)"),
        (openai, 402, "refused to answer unpaid (402)"),
        (openai, 404, "has no such model or path (404)"),
        (openai, 503, "is not ready (503)"),
        (kserve, 401, "refused the key (401)"),
        (kserve, 404, "has no such model or path (404)"),
        (kserve, 500, "fails (500)"),
    ],
)
async def test_a_far_side_that_refuses_is_told_after_the_start(
    start: Start,
    caplog: pytest.LogCaptureFixture,
    build: Callable[[str], TextEngine],
    status: int,
    reason: str,
) -> None:
    url, far = await start(lambda method, path: (status, "{}"))
    engine = build(url)
    await engine.start()
    await until(lambda: up(url) == 0)
    await engine.close()
    assert failing(url) == {reason}
    lines = [told(record.getMessage()) for record in caplog.records]
    assert [(line.upstream, line.fault) for line in lines if line] == [(url, reason)]
    assert "sk-secret" not in caplog.text
    assert all(body in ("", "{}") for _, body in far.asked)


@pytest.mark.parametrize("build", [openai, kserve])
async def test_a_far_side_that_answers_is_asked_once_and_costs_no_token(
    start: Start, build: Callable[[str], TextEngine]
) -> None:
    url, far = await start(lambda method, path: (200, "{}"))
    engine = build(url)
    await engine.start()
    await until(lambda: up(url) == 1)
    await asyncio.sleep(0.1)
    await engine.close()
    assert [first.split(" ")[0] for first, _ in far.asked] == ["GET"]
    assert failing(url) == set()


async def test_without_a_list_of_models_an_empty_call_shows_the_key(start: Start) -> None:
    url, far = await start(lambda method, path: (404 if method == "GET" else 401, "{}"))
    engine = openai(url)
    await engine.start()
    await until(lambda: up(url) == 0)
    await engine.close()
    assert failing(url) == {"refused the key (401)"}
    assert far.asked[-1] == ("POST /chat/completions", "{}")


async def test_an_empty_call_that_is_refused_as_empty_is_a_server_that_answers(
    start: Start,
) -> None:
    url, _ = await start(lambda method, path: (501 if method == "GET" else 400, "{}"))
    engine = openai(url)
    await engine.start()
    await until(lambda: up(url) == 1)
    await engine.close()


async def test_one_that_comes_later_is_waited_for(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    answers = iter([503, 503, 503])
    url, _ = await start(lambda method, path: (next(answers, 200), "{}"))
    engine = kserve(url)
    await engine.start()
    await until(lambda: up(url) == 1)
    await engine.close()
    lines = [told(record.getMessage()) for record in caplog.records]
    assert [line.fault for line in lines if line] == ["is not ready (503)", ""]


async def test_a_key_that_is_refused_later_is_told_by_a_call(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "kserve.hem")
    statuses = {"now": 200}
    url, _ = await start(lambda method, path: (statuses["now"], V2))
    engine = kserve(url)
    await engine.start()
    await until(lambda: up(url) == 1)
    statuses["now"] = 401
    for _ in range(3):
        with pytest.raises(UpstreamError):
            await engine.generate([QUERY])
    assert up(url) == 0
    statuses["now"] = 200
    await engine.generate([QUERY])
    await engine.close()
    assert up(url) == 1
    lines = [told(record.getMessage()) for record in caplog.records]
    assert [line.fault for line in lines if line] == ["", "refused the key (401)", ""]


async def test_a_far_side_that_breaks_down_is_told_when_the_breaker_opens(start: Start) -> None:
    statuses = {"now": 200}
    url, _ = await start(lambda method, path: (statuses["now"], V2))
    engine = kserve(url)
    await engine.start()
    await until(lambda: up(url) == 1)
    statuses["now"] = 500
    seen = []
    for _ in range(2):
        with pytest.raises(UpstreamError):
            await engine.generate([QUERY])
        seen.append(up(url))
    await engine.close()
    assert seen == [1, 0]
    assert failing(url) == {"fails (500)"}


async def test_one_bad_request_says_nothing_of_the_others(start: Start) -> None:
    url, _ = await start(lambda method, path: (200 if method == "GET" else 400, "{}"))
    engine = kserve(url)
    await engine.start()
    await until(lambda: up(url) == 1)
    with pytest.raises(InvalidRequest):
        await engine.generate([QUERY])
    await engine.close()
    assert up(url) == 1


async def test_a_probe_that_gets_no_answer_has_no_status() -> None:
    error = await probe(lambda: asyncio.sleep(60), seconds=0.01)
    assert isinstance(error, UpstreamError)
    assert (error.cause, error.answered) == (Cause.TIMEOUT, None)
    assert await probe(lambda: asyncio.sleep(0)) is None


async def test_nobody_there_is_told_as_that() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    engine = kserve(url)
    await engine.start()
    await until(lambda: up(url) == 0)
    await engine.close()
    assert failing(url) == {"can't be reached"}


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (UpstreamError("x", Cause.UNREACHABLE), "can't be reached"),
        (UpstreamError("x", Cause.TIMEOUT), "does not answer in time"),
        (UpstreamError("x", Cause.CERTIFICATE), "shows a certificate that does not verify"),
        (UpstreamError("x", Cause.SERVER_ERROR, answered=502), "fails (502)"),
        (UpstreamError("x", Cause.REFUSED, answered=407), "is behind a proxy that refused"),
        (UpstreamError("x", Cause.REFUSED, answered=429), ""),
        (InvalidRequest("x"), ""),
    ],
)
def test_a_fault_is_what_the_error_says_of_every_call(error: HEMError, words: str) -> None:
    assert fault(error).startswith(words)
    assert bool(fault(error)) == bool(words)


def test_a_line_of_a_log_is_read_as_it_was_written(caplog: pytest.LogCaptureFixture) -> None:
    standing = Standing("http://far:1/v1")
    standing.failed(UpstreamError("http://far:1/v1 answered 401: no; see x", answered=401))
    line = f"2026-11-28 12:00:00.1 7 kserve.hem WARNING [probe.py:x():1] {caplog.messages[-1]}"
    detail = "http://far:1/v1 answered 401: no; see x"
    assert told(line) == Told("http://far:1/v1", "refused the key (401)", detail)
    assert told("the far side is fine") is None
