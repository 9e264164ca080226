"""From loading to death: what a live predictor says of an engine that can't answer yet, or not
just now, or never again."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import httpx
import pytest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import (
    InferTensorContents,
    ModelInferRequest,
    ServerReadyRequest,
)
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.conftest import ServerProcess, StartServer, free_port

Start = Callable[..., ServerProcess]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The file that says what the engine does; written whole, so that no reader finds it empty."""
    path = tmp_path / "state"
    path.write_text("alive")
    return path


@pytest.fixture
def start(start_server: StartServer, state: Path) -> Start:
    def started(ready: str = "/v2/models/m/ready") -> ServerProcess:
        engine = ["--engine", "tests.predictors.serving.mortal:MortalEngine", "--state", str(state)]
        return start_server("predictors", "--model_name", "m", *engine, ready=ready)

    return started


def turn(state: Path, word: str) -> None:
    new = state.with_suffix(".new")
    new.write_text(word)
    new.replace(state)


def tensor(name: str) -> dict[str, object]:
    return {"inputs": [{"name": name, "datatype": "FP32", "shape": [1], "data": [1.0]}]}


READY = ("/v2/models/m/ready", "/v2/health/ready")


def statuses(server: ServerProcess) -> list[int]:
    return [httpx.get(server.url + path).status_code for path in READY]


def test_a_model_that_loads_is_not_ready_and_its_metadata_has_no_tensors(
    start: Start, state: Path
) -> None:
    turn(state, "loading")
    server = start(ready="/v2/health/live")
    assert statuses(server) == [503, 503]
    assert httpx.get(server.url + READY[1]).json() == {"error": "Server is not ready."}
    metadata = httpx.get(f"{server.url}/v2/models/m")
    assert (metadata.status_code, metadata.json()["inputs"]) == (200, [])
    assert httpx.post(f"{server.url}/v2/models/m/infer", json=tensor("x")).status_code == 503
    turn(state, "alive")
    server.wait_ready(READY[0])
    assert statuses(server) == [200, 200]
    assert httpx.get(f"{server.url}/v2/models/m").json()["inputs"][0]["name"] == "x"
    assert "Traceback" not in server.log.read_text()


def test_a_model_that_loads_is_not_waited_for(start: Start, state: Path) -> None:
    turn(state, "loading for ever")
    server = start(ready="/v2/health/live")
    server.process.terminate()
    assert server.process.wait(30) == 0
    assert "Traceback" not in server.log.read_text()


async def test_a_model_that_loads_is_unavailable_over_grpc(start: Start, state: Path) -> None:
    turn(state, "loading")
    server = start(ready="/v2/health/live")
    numbers = ModelInferRequest.InferInputTensor(
        name="x", datatype="FP32", shape=[1], contents=InferTensorContents(fp32_contents=[1.0])
    )
    request = ModelInferRequest(model_name="m", inputs=[numbers])
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
        stub = GRPCInferenceServiceStub(channel)
        assert not (await stub.ServerReady(ServerReadyRequest())).ready
        with pytest.raises(grpc.aio.AioRpcError, match="model 'm' is not ready") as raised:
            await stub.ModelInfer(request)
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        turn(state, "alive")
        server.wait_ready(READY[0])
        assert (await stub.ServerReady(ServerReadyRequest())).ready
        assert (await stub.ModelInfer(request)).outputs[0].name == "x"


async def test_an_engine_that_has_died_ends_the_process_when_those_who_wait_were_told(
    start: Start, state: Path
) -> None:
    server = start()
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        waiting = asyncio.create_task(client.post("/v2/models/m/infer", json=tensor("wait")))
        await asyncio.to_thread(server.wait_logged, "mortal: waits")
        turn(state, "dead")
        response = await waiting
    assert (response.status_code, response.json()) == (500, {"error": "it died meanwhile"})
    assert await asyncio.to_thread(server.process.wait, 10) == 1
    log = server.log.read_text()
    assert log.splitlines()[-1] == "error: model 'm' can't answer any more: the script says dead"
    assert "Traceback" not in log


def test_an_engine_that_is_only_ill_is_waited_for(start: Start, state: Path) -> None:
    server = start()
    turn(state, "ill")
    time.sleep(3)
    assert statuses(server) == [503, 503]
    turn(state, "alive")
    assert statuses(server) == [200, 200]
    server.stop()
    assert server.process.returncode == 0


def test_a_predictor_whose_far_side_is_down_stays(start_server: StartServer) -> None:
    gone = f"127.0.0.1:{free_port()}"
    urls = {"kserve": f"http://{gone}", "openai_api": f"http://{gone}/v1", "triton": gone}
    servers = [
        start_server(
            *("predictors", "--model_name", "m", "--engine", engine, "--url", url),
            *("--upstream_model", "far"),
            ready="/v2/health/live",
        )
        for engine, url in urls.items()
    ]
    time.sleep(3)
    for server in servers:
        assert httpx.get(f"{server.url}/v2/health/live").status_code == 200
        assert server.process.poll() is None
