"""What can be told of a Triton that isn't there or is none, without one."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import grpc
import pytest
from tritonclient.utils import InferenceServerException

from predictors.contract import Query
from predictors.engines.triton import TritonEngine, TritonSettings
from predictors.engines.triton.failures import failure
from predictors.errors import (
    Cause,
    HEMError,
    InvalidRequest,
    UpstreamError,
)
from tests.conftest import ROOT, free_port
from tests.predictors.upstream.deaf_port import deaf_port
from tests.predictors.upstream.failing import failing

Listen = Callable[[bytes], Awaitable[str]]


@pytest.fixture
async def listen() -> AsyncIterator[Listen]:
    """listen(reply) is the address of a server that answers anything with those bytes."""
    servers = []
    silent: list[asyncio.StreamWriter] = []

    async def start(reply: bytes) -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1024)
            writer.write(reply)
            await writer.drain()
            if reply:
                writer.close()
            else:
                silent.append(writer)

        servers.append(await asyncio.start_server(answer, "127.0.0.1", 0))
        return f"127.0.0.1:{servers[-1].sockets[0].getsockname()[1]}"

    yield start
    for writer in silent:
        writer.close()
    for server in servers:
        server.close()


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
    with failing(Cause.UNREACHABLE, match=rf"{transport}://127.0.0.1:{port} .*onnect"):
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


TEXT_MODEL = {
    "inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [{"name": "text_output", "datatype": "BYTES", "shape": [-1]}],
}


@pytest.mark.parametrize(
    ("output", "binary"),
    [({"parameters": {"binary_data_size": 3}}, b"abc"), ({"data": ["text"]}, b""), ({}, b"")],
)
async def test_an_output_that_can_not_be_read_is_the_far_sides_fault(
    output: dict[str, Any], binary: bytes
) -> None:
    head = {"name": "text_output", "datatype": "BYTES", "shape": [1], **output}
    response = json.dumps({"outputs": [head]}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        body = response + binary if path.endswith(b"/infer") else json.dumps(TEXT_MODEL).encode()
        length = len(response) if path.endswith(b"/infer") else len(body)
        lines = f"inference-header-content-length: {length}\r\ncontent-length: {len(body)}"
        writer.write(f"HTTP/1.1 200 X\r\nconnection: close\r\n{lines}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    engine = TritonEngine(TritonSettings(url=address, upstream_model="m", transport="http"))
    await engine.start()
    with pytest.raises(UpstreamError, match=f"the answer of http://{address} can't be read"):
        await engine.generate([Query("hello")])
    await engine.close()
    server.close()


@pytest.mark.parametrize("status", [200, 500])
async def test_an_answer_without_an_end_is_not_kept(status: int) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        assert "accept-encoding: identity\r\n" in head
        if "/ready " in head:  # of which tritonclient reads no body
            writer.write(b"HTTP/1.1 200 X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
            writer.close()
            return
        writer.write(f"HTTP/1.1 {status} X\r\ntransfer-encoding: chunked\r\n\r\n".encode())
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"2710\r\n%b\r\n" % bytes(10_000))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    with pytest.raises(UpstreamError, match="more than 1000000 bytes") as raised:
        port = server.sockets[0].getsockname()[1]
        await ask(f"127.0.0.1:{port}", "http", max_answer_bytes=1_000_000)
    server.close()
    assert raised.value.status == 502


@pytest.mark.parametrize(
    ("status", "message", "ours"),
    [
        ("StatusCode.INVALID_ARGUMENT", "unexpected shape", 400),
        ("400", "unexpected shape", 400),
        ("400", "Request for unknown model: 'm' is not found", 503),
        ("StatusCode.NOT_FOUND", "no such version", 503),
        ("StatusCode.UNAVAILABLE", "Exceeds maximum queue size", 503),
        ("429", "slow down", 503),
        ("StatusCode.DEADLINE_EXCEEDED", "late", 504),
        ("504", "late", 504),
        ("StatusCode.INTERNAL", "the model broke", 502),
        ("500", "the model broke", 502),
        ("StatusCode.UNAUTHENTICATED", "who?", 502),
        ("StatusCode.INTERNAL", "prompt longer than the maximum model length", 400),
        (None, "Error generating stream: x", 502),
    ],
)
def test_tritons_status_decides_the_error(status: str | None, message: str, ours: int) -> None:
    error = failure(InferenceServerException(message, status), "grpc://t:1", "m")
    assert type(error) is (InvalidRequest if ours == 400 else UpstreamError)
    assert error.status == ours
    assert message in str(error)


def test_a_model_that_is_missing_is_not_asked_for_again_and_no_outage() -> None:
    error = failure(InferenceServerException("gone", "404"), "grpc://t:1", "m")
    assert isinstance(error, UpstreamError)
    assert (error.status, error.retryable) == (503, False)
    assert error.cause == "refused"


def test_a_models_traceback_is_one_short_line() -> None:
    message = "ValueError: x\n\nAt:\n  /models/m/1/model.py(3): execute\n" * 50
    error = failure(InferenceServerException(message, "500"), "http://t:1", "m")
    assert "\n" not in str(error)
    assert len(str(error)) < 600


def test_a_stream_error_has_the_status_of_grpc() -> None:
    broken = grpc.aio.AioRpcError(
        grpc.StatusCode.INVALID_ARGUMENT, grpc.aio.Metadata(), grpc.aio.Metadata(), "bad input"
    )
    assert isinstance(failure(broken, "grpc://t:1", "m"), InvalidRequest)
    assert failure(aiohttp.ServerDisconnectedError(), "x", "m").status == 503


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
