"""What a Triton that fails means to the caller: tested with stand-ins for it."""

import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme

from predictors.contract import Query
from predictors.engines.triton import TritonEngine, TritonSettings
from predictors.engines.triton.client import messages
from predictors.errors import Cause, HEMError, UpstreamError
from tests.conftest import ROOT, free_port
from tests.listening import listening
from tests.predictors.engines.triton.stand_in import TEXT_MODEL, serving, streaming_model
from tests.predictors.upstream.deaf_port import deaf_port
from tests.predictors.upstream.failing import failing

Listen = Callable[[bytes], Awaitable[str]]
Code = grpc.StatusCode


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """listen(reply) is the address of a server that answers anything with those bytes."""
    async with contextlib.AsyncExitStack() as servers:

        async def start(reply: bytes) -> str:
            async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                await reader.read(1024)
                writer.write(reply)
                await writer.drain()
                if not reply:
                    await reader.read()

            return await servers.enter_async_context(listening(answer))

        yield start


async def ask(address: str, transport: str, timeout: float = 5.0, **options: Any) -> None:
    given = {"url": address, "upstream_model": "m", "retries": 0, **options}
    settings = TritonSettings(transport=transport, timeout=timeout, **given)
    engine = TritonEngine(settings)
    await engine.start()
    try:
        assert not await engine.healthy()
        await engine.generate([Query("hello")])
    finally:
        await engine.close()


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_a_triton_that_is_not_there_is_unavailable(transport: str) -> None:
    port = free_port()
    with failing(Cause.UNREACHABLE, match=rf"{transport}://127.0.0.1:{port}.*onnect"):
        await ask(f"127.0.0.1:{port}", transport)


@pytest.mark.parametrize(
    ("transport", "reply"),
    [
        ("http", b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\n<html></html>"),
        ("http", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]"),
        ("http", b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
        ("http", b"HTTP/1.1 500 X\r\ncontent-length: 4\r\n\r\nOops"),
        ("http", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"),
        ("http", b"nonsense\r\n\r\n"),
        ("grpc", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    ],
)
async def test_a_server_that_is_no_triton_is_the_far_sides_fault(
    listen: Listen, transport: str, reply: bytes
) -> None:
    address = await listen(reply)
    with pytest.raises(UpstreamError, match=address) as raised:
        await ask(address, transport)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_a_server_that_says_nothing_is_a_timeout(listen: Listen, transport: str) -> None:
    with pytest.raises(HEMError) as raised:
        await ask(await listen(b""), transport, timeout=0.3)
    assert raised.value.status in (503, 504)


async def test_a_port_that_takes_no_connection_is_given_up_after_the_connect_timeout() -> None:
    with deaf_port() as port:
        begin = time.perf_counter()
        with failing(Cause.TIMEOUT, match="no connection in time"):
            await ask(f"127.0.0.1:{port}", "http", timeout=30.0, connect_timeout=0.3)
    assert time.perf_counter() - begin < 5


@pytest.mark.parametrize(
    "output",
    [
        {},
        {"data": ["a", "b"]},
        {"data": [7]},
        {"data": ["a"], "datatype": "TEXT"},
        {"data": ["a"], "name": "other"},
        {"data": [1.5], "datatype": "FP32"},
    ],
)
async def test_an_output_that_can_not_be_read_is_the_far_sides_fault(
    output: dict[str, Any],
) -> None:
    head = {"name": "text_output", "datatype": "BYTES", "shape": [1], **output}
    response = json.dumps({"model_name": "m", "outputs": [head]}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        body = response if path.endswith(b"/infer") else json.dumps(TEXT_MODEL).encode()
        lines = f"connection: close\r\ncontent-length: {len(body)}"
        writer.write(f"HTTP/1.1 200 X\r\n{lines}\r\n\r\n".encode() + body)
        await writer.drain()

    async with listening(answer) as address:
        engine = TritonEngine(TritonSettings(url=address, upstream_model="m", transport="http"))
        await engine.start()
        assert await engine.healthy()
        with failing(Cause.UNUSABLE):
            await engine.generate([Query("hello")])
        await engine.close()


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_without_an_end_is_not_kept(status: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert "accept-encoding: gzip\r\n" in head
        writer.write(f"HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        while True:
            writer.write(b"2710\r\n%b\r\n" % bytes(10_000))
            await writer.drain()

    async with listening(answer) as address:
        with failing(Cause.TOO_LARGE, "more than 1000000 bytes", 502):
            await ask(address, "http", max_answer_bytes=1_000_000)


LADDER = [
    (Code.INVALID_ARGUMENT, 400, "unexpected shape", 400, None),
    (Code.INVALID_ARGUMENT, 400, "Request for unknown model: 'm' is not found", 503, Cause.REFUSED),
    (Code.UNAVAILABLE, 503, "Request for unknown model: 'm' is not ready", 503, Cause.REFUSED),
    (Code.NOT_FOUND, 404, "no such version", 503, Cause.REFUSED),
    (Code.RESOURCE_EXHAUSTED, 429, "slow down", 503, Cause.THROTTLED),
    (Code.DEADLINE_EXCEEDED, 504, "late", 504, Cause.SERVER_ERROR),
    (Code.INTERNAL, 500, "the model broke", 502, Cause.UNUSABLE),
    (Code.UNAUTHENTICATED, 401, "who are you", 502, Cause.REFUSED),
    (Code.INTERNAL, 500, "prompt longer than the maximum model length", 400, None),
    (Code.INVALID_ARGUMENT, 400, "sending FP16 data via JSON is not supported", 400, None),
]


@pytest.mark.parametrize(("code", "status", "message", "ours", "cause"), LADDER)
@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_one_ladder_says_what_a_failure_means_over_both_transports(
    listen: Listen,
    transport: str,
    code: grpc.StatusCode,
    status: int,
    message: str,
    ours: int,
    cause: Cause | None,
) -> None:
    body = json.dumps({"error": message})
    reply = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    async with serving(code, message) as server:
        with pytest.raises(HEMError, match=message) as raised:
            await ask(server if transport == "grpc" else await listen(reply), transport)
    assert raised.value.status == ours
    assert getattr(raised.value, "cause", None) is cause


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_a_full_queue_of_tritons_is_unavailable_and_retried(
    listen: Listen, transport: str
) -> None:
    body = b'{"error": "Exceeds maximum queue size"}'
    reply = b"HTTP/1.1 503 X\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
    async with serving(Code.UNAVAILABLE, "Exceeds maximum queue size") as server:
        with pytest.raises(UpstreamError, match="Exceeds maximum queue size") as raised:
            await ask(server if transport == "grpc" else await listen(reply), transport)
    assert (raised.value.status, raised.value.retryable) == (503, True)


async def test_a_model_that_is_missing_is_not_asked_for_again_and_no_outage() -> None:
    async with serving(Code.NOT_FOUND, "gone") as server:
        with failing(Cause.REFUSED, "has no model 'm' that is ready: gone", 503) as raised:
            await ask(server, "grpc")
    assert not raised.value.retryable


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_a_models_traceback_is_one_short_line(listen: Listen, transport: str) -> None:
    message = "ValueError: x\n\nAt:\n  /models/m/1/model.py(3): execute\n" * 50
    body = json.dumps({"error": message})
    reply = f"HTTP/1.1 500 X\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    async with serving(Code.INTERNAL, message) as server:
        with failing(Cause.UNUSABLE) as raised:
            await ask(server if transport == "grpc" else await listen(reply), transport)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


@pytest.mark.parametrize("transport", ["grpc", "http"])
async def test_a_bad_certificate_opens_the_circuit_breaker(transport: str, tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(stranger))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert("127.0.0.1").configure_cert(context)

    async def says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with listening(says_nothing, tls=context) as address:
        url = f"https://{address}"
        limits = {"retries": 0, "breaker_failures": 2, "ca_bundle": str(stranger)}
        settings = {"url": url, "upstream_model": "m", "transport": transport, **limits}
        engine = TritonEngine(TritonSettings.model_validate(settings))
        await engine.start()
        with failing(Cause.CERTIFICATE, "does not verify"):
            await engine.generate([Query("hello")])
        with pytest.raises(UpstreamError, match="is not called for now"):
            for _ in range(2):
                with contextlib.suppress(UpstreamError):
                    await engine.generate([Query("hello")])
            await engine.generate([Query("hello")])
        await engine.close()


@pytest.mark.parametrize(
    ("message", "ours"),
    [("Error generating stream: x", 502), ("longer than the maximum model length of 9", 400)],
)
async def test_an_error_within_a_stream_is_on_the_same_ladder(message: str, ours: int) -> None:
    """As text alone, as older Tritons send it, and with a status."""
    broken = messages.ModelStreamInferResponse(error_message=message)
    for fault in ({"ModelStreamInfer": broken}, {}):
        async with serving(Code.INTERNAL, message, **streaming_model(), **fault) as server:
            engine = TritonEngine(TritonSettings(url=server, upstream_model="m", retries=0))
            await engine.start()
            assert await engine.healthy()
            for _ in range(8):  # more than open a circuit breaker: the server is alive
                with pytest.raises(HEMError, match=message) as raised:
                    await engine.generate([Query("hello")])
                assert raised.value.status == ours
            await engine.close()


@pytest.mark.parametrize(
    "first", ["kserve.protocol.grpc.grpc_predict_v2_pb2", "predictors.engines.triton"]
)
def test_tritonclient_and_kserve_live_in_one_process(first: str) -> None:
    code = (
        f"import {first}, kserve.protocol.grpc.grpc_predict_v2_pb2 as ours\n"
        "import predictors.engines.triton, tritonclient.grpc.service_pb2 as theirs\n"
        "a, b = ours.ModelReadyRequest(name='m'), theirs.ModelReadyRequest(name='m')\n"
        "assert a.SerializeToString() == b.SerializeToString()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr[-300:]
