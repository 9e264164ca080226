"""Names, paths, headers and ids that hold line feeds, or are not ASCII: no log line, no 500."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import grpc
import httpx
import pytest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelReadyRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictors.contract import text_request
from tests.conftest import ServerProcess, StartServer
from tests.listening import listening
from tests.predictors.serving.test_server_grpc import request as grpc_request

LINE = "2026-01-01 00:00:00 ERROR forged"
BREAKS = ["%0a", "%0d%0a", "%e2%80%a8", "%c2%85", "%1b%5b2K%1b%5b1A%0a", "%0b"]
VALUES = [b"caf\xc3\xa9", b"caf\xe9", "请求".encode(), b"\xff\xfe", b"a\tb", "🙂".encode()]
NAMES = ["x-request-id", "traceparent", "tracestate", "x-b3-traceid", "authorization"]


def no_line_is_forged(server: ServerProcess) -> None:
    log = server.log.read_text()
    assert LINE not in [line[: len(LINE)] for line in log.splitlines()]
    assert "\x1b" not in log


@pytest.mark.parametrize("separator", BREAKS)
@pytest.mark.parametrize(
    "path",
    [
        "/v2/models/m{}/infer",
        "/v2/models/m{}/ready",
        "/v2/models/m{}",
        "/v1/models/m{}",
        "/v2/nowhere{}",
        "/v2/repository/models/m{}/unload",
    ],
)
def test_a_path_writes_no_line(scripted: ServerProcess, separator: str, path: str) -> None:
    url = scripted.url + path.format(separator + LINE.replace(" ", "%20"))
    for method in ("GET", "POST"):
        response = httpx.request(
            method, url, json=text_request(["x"]) if method == "POST" else None
        )
        assert 400 <= response.status_code < 500
    no_line_is_forged(scripted)


@pytest.mark.parametrize("text", [f"m\n{LINE}", f"m\r\n{LINE}", f"m\u2028{LINE}"])
async def test_names_and_ids_write_no_line_over_grpc(scripted: ServerProcess, text: str) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{scripted.grpc_port}") as channel:
        stub: Any = GRPCInferenceServiceStub(channel)
        message = grpc_request([b"x"], model=text)
        message.id = text
        for call in (stub.ModelInfer(message), stub.ModelReady(ModelReadyRequest(name=text))):
            with pytest.raises(grpc.aio.AioRpcError):
                await call
        message = grpc_request([b"x"])
        message.id = text
        assert (await stub.ModelInfer(message)).id == text
    no_line_is_forged(scripted)


@pytest.fixture
async def far_side() -> AsyncIterator[tuple[str, list[httpx.Headers]]]:
    """A V2 server that writes down what headers came, and answers or, asked to, refuses."""
    seen: list[httpx.Headers] = []
    output = {"name": "text_output", "datatype": "BYTES", "shape": [1], "data": ["X"]}
    good = json.dumps({"model_name": "m", "outputs": [output]}).encode()
    refusal = json.dumps({"error": f"no\n{LINE}\x1b[2K"}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        pairs = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:] if line]
        headers = httpx.Headers([(name, value) for name, value in pairs])
        body = await reader.readexactly(int(headers["content-length"]))
        seen.append(headers)
        status, content = (b"500 x", refusal) if b"refuse" in body else (b"200 OK", good)
        kind = b"content-type: application/json\r\nconnection: close"
        length = str(len(content)).encode()
        writer.write(b"HTTP/1.1 %b\r\n%b\r\ncontent-length: %b\r\n\r\n" % (status, kind, length))
        writer.write(content)

    async with listening(answer) as address:
        yield f"http://{address}", seen


async def test_headers_that_are_not_ascii_reach_the_far_side_and_never_fail(
    start_server: StartServer, far_side: tuple[str, list[httpx.Headers]]
) -> None:
    url, seen = far_side
    arguments = ["--model_name", "m", "--engine", "kserve", "--url", url, "--upstream_model", "m"]
    uplink = await asyncio.to_thread(
        start_server, "predictors", *arguments, ready="/v2/health/live"
    )
    async with httpx.AsyncClient(timeout=30) as client:
        infer = f"{uplink.url}/v2/models/m/infer"
        for name in NAMES:
            for value in VALUES:
                response = await client.post(
                    infer, json=text_request(["x"]), headers=[(name.encode(), value)]
                )
                assert response.status_code == 200, (name, value, response.text)
                if name != "authorization":
                    expected = value if value != b"caf\xe9" and value != b"\xff\xfe" else None
                    raw = dict(seen[-1].raw).get(name.encode())
                    assert raw is not None and expected in (raw, None)
        refused = await client.post(infer, json=text_request(["refuse"]))
    assert refused.status_code == 502
    no_line_is_forged(uplink)


async def test_they_never_fail_through_hem_either(
    start_server: StartServer, scripted: ServerProcess
) -> None:
    hem = await asyncio.to_thread(
        start_server,
        *("transformers_hem", "--model_name", "m"),
        *("--predictor_host", scripted.url.removeprefix("http://")),
        env={"HEM_ALGORITHM": "ConfidenceRouter", "HEM_THRESHOLD": "0.5"},
        ready="/v2/models/m/ready",
    )
    async with httpx.AsyncClient() as client:
        for name in NAMES:
            for value in VALUES:
                response = await client.post(
                    f"{hem.url}/v2/models/m/infer",
                    json=text_request(["x"], id=f"id\n{LINE}"),
                    headers=[(name.encode(), value)],
                )
                assert response.status_code == 200, (name, value, response.text)
    await asyncio.to_thread(hem.wait_logged, "decision id=")
    no_line_is_forged(hem)
    no_line_is_forged(scripted)
