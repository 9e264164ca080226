"""Whether Triton would answer is told in log and metrics after the start, without a token."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest

from predictors.contract import Query, Sampling
from predictors.engines.triton import TritonEngine, TritonSettings
from predictors.engines.triton.client import messages
from predictors.errors import UpstreamError
from predictors.upstream import probe
from predictors.upstream.probe import told
from tests.conftest import free_port
from tests.listening import listening
from tests.predictors.engines.triton.stand_in import FINAL, part, serving, streaming_model
from tests.predictors.upstream.metrics import failing, up
from tests.waiting import until

Code = grpc.StatusCode
QUERY = Query("q", Sampling(temperature=0))
NO_MODEL = "has no such model or path (404)"
NOT_READY = {"ModelReady": messages.ModelReadyResponse(ready=False)}


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(probe, "NEXT_SECONDS", 0.02)


@asynccontextmanager
async def started(address: str, transport: str = "grpc") -> AsyncIterator[TritonEngine]:
    settings = {"url": address, "transport": transport, "upstream_model": "m", "retries": 0}
    engine = TritonEngine(TritonSettings.model_validate(settings))
    await engine.start()
    try:
        yield engine
    finally:
        await engine.close()


def lines(caplog: pytest.LogCaptureFixture) -> list[tuple[str, str]]:
    found = [told(record.getMessage()) for record in caplog.records]
    return [(line.upstream, line.fault) for line in found if line]


@pytest.mark.parametrize(
    ("code", "message", "answers", "reason"),
    [
        (Code.NOT_FOUND, "unknown model: 'm' is not found", {}, NO_MODEL),
        (
            Code.UNAVAILABLE,
            "unknown model: 'm' is not ready",
            {},
            "has no such model or path (404)",
        ),
        (Code.UNAUTHENTICATED, "who are you", {}, "refused the key (401)"),
        (Code.UNIMPLEMENTED, "", NOT_READY, "is not ready (503)"),
    ],
)
async def test_a_triton_that_would_not_answer_is_told_over_grpc(
    caplog: pytest.LogCaptureFixture,
    code: grpc.StatusCode,
    message: str,
    answers: dict[str, Any],
    reason: str,
) -> None:
    async with serving(code, message, **answers) as address:
        async with started(address):
            await until(lambda: up(f"grpc://{address}") == 0)
            assert failing(f"grpc://{address}") == {reason}
        assert (f"grpc://{address}", reason) in lines(caplog)


async def test_nobody_there_is_told_as_that() -> None:
    address = f"127.0.0.1:{free_port()}"
    async with started(address):
        await until(lambda: up(f"grpc://{address}") == 0)
        assert failing(f"grpc://{address}") == {"can't be reached"}


async def test_a_model_that_is_not_ready_is_told_over_http_until_it_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Triton says 400, with an empty body."""
    ready = False

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        body = b"" if path.endswith("/ready") else b'{"inputs": [], "outputs": []}'
        status = 200 if ready else 400
        head = f"HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async with listening(answer) as address:
        url = f"http://{address}"
        async with started(address, "http"):
            await until(lambda: up(url) == 0)
            assert failing(url) == {"is not ready (503)"}
            ready = True
            await until(lambda: up(url) == 1)
    assert lines(caplog) == [(url, "is not ready (503)"), (url, "")]


async def test_a_triton_that_answers_is_asked_for_no_token() -> None:
    asked = 0

    async def script(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        nonlocal asked
        asked += 1
        yield FINAL

    async with (
        serving(**streaming_model(), ModelStreamInfer=script) as address,
        started(address),
    ):
        await until(lambda: up(f"grpc://{address}") == 1)
    assert asked == 0


async def test_a_model_that_goes_and_comes_back_is_told_by_the_calls(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "kserve.hem")
    gone = False

    async def script(request: Any, context: grpc.aio.ServicerContext) -> AsyncIterator[Any]:
        if gone:
            await context.abort(Code.NOT_FOUND, "unknown model: 'm' is not found")
        yield part("a", final=True)

    async with serving(**streaming_model(), ModelStreamInfer=script) as address:
        url = f"grpc://{address}"
        async with started(address) as engine:
            await until(lambda: up(url) == 1)
            gone = True
            for _ in range(3):
                with pytest.raises(UpstreamError, match="no model 'm' that is ready"):
                    await engine.generate([QUERY])
            assert up(url) == 0
            gone = False
            await engine.generate([QUERY])
            assert up(url) == 1
    faults = ["", NO_MODEL, ""]
    assert lines(caplog) == [(url, fault) for fault in faults]
