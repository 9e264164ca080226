"""SIGTERM: nobody who was sent here fails, over REST or gRPC; the engine closes last."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import ModelReadyRequest, ServerReadyRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictors.contract import text_request
from tests.conftest import ServerProcess, StartServer
from tests.listening import listening
from tests.predictors.serving.test_server_grpc import request as grpc_request

INFER = "/v2/models/m/infer"
PROBES = ("/v2/health/ready", "/v2/models/m/ready", "/v1/models/m")

Start = Callable[..., ServerProcess]


@pytest.fixture
def start(start_server: StartServer) -> Start:
    def started(drain: float = 0, grace: float = 20) -> ServerProcess:
        return start_server(
            *("tests.predictors.scripted", "--model_name", "m", "--engine", "scripted"),
            *("--drain_seconds", str(drain), "--grace_seconds", str(grace)),
            ready=PROBES[1],
        )

    return started


def stub(server: ServerProcess) -> Any:
    return grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}")


async def rest(server: ServerProcess, text: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.post(server.url + INFER, json=text_request([text]))


async def over_grpc(server: ServerProcess, text: str) -> str:
    async with stub(server) as channel:
        answer = await GRPCInferenceServiceStub(channel).ModelInfer(grpc_request([text.encode()]))
    return str(answer.outputs[0].contents.bytes_contents[0].decode())


async def ended(server: ServerProcess, seconds: float = 20) -> int:
    return await asyncio.to_thread(server.process.wait, seconds)


async def at_work(server: ServerProcess, calls: int) -> None:
    """So many have come to its engine, and wait there."""
    await asyncio.to_thread(server.wait_logged, "scripted: waits", calls)


async def stops(server: ServerProcess) -> None:
    """A signal has arrived."""
    await asyncio.to_thread(server.wait_logged, ": not ready any more; ")


async def takes_nobody(server: ServerProcess) -> None:
    async with asyncio.timeout(20):
        with suppress(OSError):
            while True:
                _, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.close()
                await asyncio.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
async def test_calls_under_way_are_answered_and_the_engine_closes_after_them(
    start: Start, number: signal.Signals, tmp_path: Path
) -> None:
    server, end = start(), tmp_path / "end"
    text = f"until {end}"
    calls = [rest(server, text), over_grpc(server, text), rest(server, text)]
    waiting = [asyncio.create_task(call) for call in calls]
    await at_work(server, 3)
    server.process.send_signal(number)
    await takes_nobody(server)
    end.touch()
    slow, remote, other = await asyncio.gather(*waiting)
    assert [slow.status_code, other.status_code, remote] == [200, 200, text.upper()]
    assert slow.headers["connection"] == other.headers["connection"] == "close"
    assert await ended(server) == 0
    log = server.log.read_text()
    assert log.count("scripted: closed") == 1
    assert "cancelled" not in log and "Traceback" not in log


async def test_probes_fail_first_while_new_connections_are_served(start: Start) -> None:
    server = start(drain=3)
    server.process.terminate()
    await stops(server)
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert [(await client.get(path)).status_code for path in PROBES] == [503, 503, 503]
        assert (await client.get("/v2/health/live")).status_code == 200
    for _ in range(3):
        answer = await rest(server, "new")
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
    async with stub(server) as channel:
        caller = GRPCInferenceServiceStub(channel)
        assert not (await caller.ServerReady(ServerReadyRequest())).ready
        assert not (await caller.ModelReady(ModelReadyRequest(name="m"))).ready
    assert await over_grpc(server, "new") == "NEW"
    assert await ended(server) == 0


async def test_what_takes_too_long_gets_an_error_that_says_so(start: Start) -> None:
    server = start(grace=1)
    late, remote = (
        asyncio.create_task(rest(server, "sleep 50")),
        asyncio.create_task(over_grpc(server, "sleep 50")),
    )
    await at_work(server, 2)
    server.process.terminate()
    answer = await late
    assert (answer.status_code, "the server stops" in answer.json()["error"]) == (503, True)
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await remote
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert await ended(server) == 0
    assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("drain", [0, 30])
async def test_a_second_signal_ends_the_waiting(start: Start, drain: float) -> None:
    server = start(drain=drain)
    late = asyncio.create_task(rest(server, "sleep 50"))
    await at_work(server, 1)
    server.process.terminate()
    await stops(server)
    server.process.terminate()
    assert (await late).status_code == 503
    assert await ended(server) == 0


async def test_a_request_that_is_arriving_is_still_answered(start: Start) -> None:
    server = start()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    body = httpx.Request("POST", server.url, json=text_request(["x"])).content
    head = f"POST {INFER} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    writer.write(head.encode())
    assert (await rest(server, "x")).status_code == 200  # what came before it was read before
    server.process.terminate()
    await takes_nobody(server)
    writer.write(f"content-length: {len(body)}\r\n\r\n".encode() + body)
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200") and b"connection: close" in answer
    writer.close()
    assert await ended(server) == 0


class Balancer:
    """A TCP balancer whose list of endpoints is `late` seconds behind."""

    def __init__(self, ports: list[int]) -> None:
        self.ports = ports
        self._next = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._next += 1
        port = self.ports[self._next % len(self.ports)]
        there, back = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(_copy(reader, back), _copy(there, writer))


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            while data := await source.read(65_536):
                sink.write(data)
    finally:
        sink.close()


@asynccontextmanager
async def balanced(ports: list[int]) -> Any:
    balancer = Balancer(ports)
    async with listening(balancer) as address:
        yield balancer, int(address.rpartition(":")[2])


async def test_a_rolling_update_fails_nobody(start: Start) -> None:
    old, new = start(drain=3), start()
    until = time.monotonic() + 6
    answers: list[Any] = []

    async def keeps_alive(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=20) as client:
            while time.monotonic() < until:
                answers.append(
                    (await client.post(INFER, json=text_request(["sleep 0.1"]))).status_code
                )

    async def connects_anew(url: str) -> None:
        while time.monotonic() < until:
            async with httpx.AsyncClient(base_url=url, timeout=20) as client:
                answers.append((await client.post(INFER, json=text_request(["x"]))).status_code)
            await asyncio.sleep(0.05)

    async def by_grpc(port: int) -> None:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            caller = GRPCInferenceServiceStub(channel)
            while time.monotonic() < until:
                answer = await caller.ModelInfer(grpc_request([b"sleep 0.1"]), wait_for_ready=True)
                answers.append(200 if answer.outputs else answer)

    async with (
        balanced([old.port, new.port]) as (http, http_port),
        balanced([old.grpc_port, new.grpc_port]) as (remote, grpc_port),
    ):
        url = f"http://127.0.0.1:{http_port}"
        callers = [
            *(asyncio.create_task(keeps_alive(url)) for _ in range(8)),
            *(asyncio.create_task(connects_anew(url)) for _ in range(4)),
            *(asyncio.create_task(by_grpc(grpc_port)) for _ in range(4)),
        ]
        await asyncio.sleep(1)
        old.process.terminate()
        await asyncio.sleep(1.5)  # the list of endpoints is behind
        http.ports, remote.ports = [new.port], [new.grpc_port]
        await asyncio.gather(*callers)
    assert len(answers) > 100 and set(answers) == {200}
    assert await ended(old) == 0
