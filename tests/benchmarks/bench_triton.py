"""What our predictor with the engine triton adds to tritonclient, and how many it holds at once.

Both ways are measured in turn within one run, with a real tritonserver behind: text of a model that
isn't decoupled, text of one that streams as Triton's vLLM backend does, and tensors.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from statistics import median
from typing import Any

import numpy as np
import orjson
import pytest

from predictors.contract import text_request
from predictors.engines.triton.client import in_own_pool
from predictors.upstream.client import build_client
from tests.conftest import ServerProcess, StartServer
from tests.tritonserver import (
    TritonServer,
    start_triton as start_triton,
    tritonserver as tritonserver,
)

pytestmark = pytest.mark.benchmark

ROUNDS, WARM_UP = 600, 100
AT_MOST_MILLISECONDS = 1.5
AT_ONCE = 500
GREEDY = {"temperature": 0}
TENSOR = {"name": "FP32", "datatype": "FP32", "shape": [4, 2], "data": [0.5] * 8}
BODIES = {
    "plain_text": text_request(["hello"], GREEDY),
    "vllm_like": text_request(["hello"], GREEDY),
    "tensors": {"inputs": [TENSOR]},
}
Call = Callable[[], Awaitable[Any]]
tritonclient = in_own_pool("tritonclient.grpc.aio")


def tensor(name: str, datatype: str, values: list[Any], dtype: Any) -> Any:
    array = np.array(values, dtype=dtype)
    return tritonclient.InferInput(name, list(array.shape), datatype).set_data_from_numpy(array)


TEXT = [tensor("text_input", "BYTES", [b"hello"], np.object_)]
INPUTS = {
    "plain_text": TEXT,
    "vllm_like": [
        *TEXT,
        tensor("stream", "BOOL", [True], np.bool_),
        tensor("exclude_input_in_output", "BOOL", [True], np.bool_),
        tensor("sampling_parameters", "BYTES", [b'{"max_tokens": 9}'], np.object_),
    ],
    "tensors": [tensor("FP32", "FP32", [[0.5, 0.5]] * 4, np.float32)],
}


@pytest.fixture(params=list(BODIES))
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def predictor(start_server: StartServer, tritonserver: TritonServer, model: str) -> ServerProcess:
    return start_server(
        *("predictors", "--model_name", "p", "--engine", "triton", "--url", tritonserver.grpc),
        *("--upstream_model", model, "--enable_latency_logging", "false"),
        ready="/v2/models/p/ready",
    )


@pytest.fixture
async def through(predictor: ServerProcess, model: str) -> AsyncIterator[Call]:
    """One call of our predictor over REST."""
    body, url = orjson.dumps(BODIES[model]), f"{predictor.url}/v2/models/p/infer"
    headers = {"content-type": "application/json"}
    async with build_client(60) as client:

        async def call() -> None:
            response = await client.post(url, content=body, headers=headers)
            assert response.status_code == 200, response.text

        yield call


@pytest.fixture
async def direct(tritonserver: TritonServer, model: str) -> AsyncIterator[Call]:
    """The same by tritonclient over gRPC."""
    client = tritonclient.InferenceServerClient(tritonserver.grpc)

    async def request() -> AsyncIterator[dict[str, Any]]:
        yield {"model_name": model, "inputs": INPUTS[model]}

    async def unary() -> None:
        await client.infer(model, INPUTS[model])

    async def stream() -> None:
        async for _, error in client.stream_infer(request()):
            assert error is None, error

    yield stream if model == "vllm_like" else unary
    await client.close()


async def milliseconds(call: Call) -> float:
    began = time.perf_counter()
    await call()
    return (time.perf_counter() - began) * 1000


async def test_the_predictor_adds_at_most_one_and_a_half_milliseconds(
    through: Call, direct: Call, model: str
) -> None:
    for _ in range(WARM_UP):
        await through()
        await direct()
    pairs = [(await milliseconds(through), await milliseconds(direct)) for _ in range(ROUNDS)]
    ours, theirs = median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)
    print(
        f"\n{model}: p50 {ours:.2f} ms through the predictor, {theirs:.2f} ms by tritonclient: "
        f"{ours - theirs:.2f} ms more (at most {AT_MOST_MILLISECONDS})"
    )
    assert ours - theirs <= AT_MOST_MILLISECONDS


async def test_five_hundred_requests_at_once_all_get_their_answers(
    through: Call, model: str
) -> None:
    await through()
    began = time.perf_counter()
    await asyncio.gather(*(through() for _ in range(AT_ONCE)))
    seconds = time.perf_counter() - began
    print(f"\n{model}: {AT_ONCE} at once in {seconds:.2f} s: {AT_ONCE / seconds:.0f} requests/s")
