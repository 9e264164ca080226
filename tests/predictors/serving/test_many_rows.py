"""A request has a bounded number of rows: each costs many times its bytes."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from predictors.contract import text_request
from predictors.engines.triton.client import messages, stubs
from tests.conftest import ServerProcess, StartServer
from tests.predictors.serving.test_bytes_in_flight import answers_after

REFUSAL = "the request has 101 queries; the limit is 100 (max_rows)"


@pytest.fixture(scope="module", params=["predictor", "hem"])
def bounded(request: pytest.FixtureRequest, start_server: StartServer) -> Iterator[ServerProcess]:
    if request.param == "hem":
        variables = {"HEM_MAX_ROWS": "100"}
        server = start_server(
            *("transformers_hem", "--model_name", "m"), env=variables, ready="/v2/models/m/ready"
        )
    else:
        options = ("--engine", "scripted", "--max_rows", "100")
        server = start_server(
            *("tests.predictors.scripted", "--model_name", "m", *options),
            ready="/v2/models/m/ready",
        )
    yield server


def rows(count: int) -> Any:
    """A gRPC request."""
    message = messages.ModelInferRequest(model_name="m")
    tensor = message.inputs.add(name="text_input", datatype="BYTES", shape=[count])
    tensor.contents.bytes_contents.extend([b"a"] * count)
    return message


def test_more_rows_than_the_limit_are_refused(bounded: ServerProcess) -> None:
    url = f"{bounded.url}/v2/models/m/infer"
    assert httpx.post(url, json=text_request(["a"] * 100)).status_code == 200
    refused = httpx.post(url, json=text_request(["a"] * 101))
    assert (refused.status_code, refused.json()) == (413, {"error": REFUSAL})


def test_over_grpc_too(bounded: ServerProcess) -> None:
    with grpc.insecure_channel(f"127.0.0.1:{bounded.grpc_port}") as channel:
        stub = stubs.GRPCInferenceServiceStub(channel)
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(rows(101))
        assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refused.value.details() == REFUSAL


def test_the_largest_body_of_empty_rows_holds_nobody_up(start_server: StartServer) -> None:
    """2 million rows of 8 MiB; 38 seconds, and a gigabyte, where they were taken."""
    arguments = ("--model_name", "m", "--engine", "scripted")
    server = start_server("tests.predictors.scripted", *arguments, ready="/v2/models/m/ready")
    url = f"{server.url}/v2/models/m/infer"
    with ThreadPoolExecutor(1) as pool:
        large = pool.submit(httpx.post, url, json=text_request(["a"] * 1_900_000), timeout=60)
        slowest = 0.0
        while not large.done():
            began = time.perf_counter()
            assert httpx.post(url, json=text_request(["b"]), timeout=60).status_code == 200
            slowest = max(slowest, time.perf_counter() - began)
    assert large.result().status_code == 413
    assert slowest < 10.0


def test_large_bodies_over_grpc_are_refused_together(
    start_server: StartServer, tmp_path: Path
) -> None:
    options = ("--engine", "scripted", "--max_bytes_in_flight", "200000")
    arguments = ("tests.predictors.scripted", "--model_name", "m", *options)
    server = start_server(*arguments, ready="/v2/models/m/ready")
    enough = tmp_path / "enough"

    def ask(size: int) -> str:
        message = messages.ModelInferRequest(model_name="m")
        message.inputs.add(name="text_input", datatype="BYTES", shape=[1])
        text = f"until {enough} ".encode() + b"x" * size
        message.raw_input_contents.append(len(text).to_bytes(4, "little") + text)
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}") as channel:
            try:
                stubs.GRPCInferenceServiceStub(channel).ModelInfer(message, timeout=60)
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.UNAVAILABLE
                assert "of 200000 (max_bytes_in_flight)" in error.details()
                return "refused"
        return "answered"

    calls = [partial(ask, size) for size in [140_000] * 6 + [0] * 6]
    answers = answers_after(4, enough, calls)
    assert answers.count("refused") == 4
    assert answers[6:] == ["answered"] * 6
    assert ask(140_000) == "answered"
