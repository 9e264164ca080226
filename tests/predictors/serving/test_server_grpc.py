"""The contract over gRPC: BYTES as bytes, parameters as a protobuf map, statuses of faults."""

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import (
    InferParameter,
    InferTensorContents,
    ModelInferRequest,
    ModelReadyRequest,
)
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from tests.conftest import ServerProcess


@pytest.fixture
async def stub(scripted: ServerProcess) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{scripted.grpc_port}") as channel:
        yield GRPCInferenceServiceStub(channel)


def request(texts: list[bytes], model: str = "m", **parameters: InferParameter) -> Any:
    tensor = ModelInferRequest.InferInputTensor(
        name="text_input",
        datatype="BYTES",
        shape=[len(texts)],
        contents=InferTensorContents(bytes_contents=texts),
    )
    return ModelInferRequest(model_name=model, id="g-1", inputs=[tensor], parameters=parameters)


async def test_rows_and_telemetry_come_back(stub: Any) -> None:
    assert (await stub.ModelReady(ModelReadyRequest(name="m"))).ready
    response = await stub.ModelInfer(request(["grüß".encode(), b"two words"]))
    outputs = {output.name: output for output in response.outputs}
    assert response.id == "g-1"
    assert list(outputs["text_output"].contents.bytes_contents) == ["GRÜSS".encode(), b"TWO WORDS"]
    assert list(outputs["prompt_tokens"].contents.int_contents) == [1, 2]
    assert response.parameters["served_by"].string_param == "m"


async def test_floats_travel_as_strings_both_ways(stub: Any) -> None:
    response = await stub.ModelInfer(
        request(
            [b"x"],
            temperature=InferParameter(string_param="0.5"),
            max_tokens=InferParameter(int64_param=9),
            hem_score=InferParameter(string_param="0.25"),
        )
    )
    outputs = {output.name: output for output in response.outputs}
    assert list(outputs["mean_logprob"].contents.fp32_contents) == [-0.5]
    assert response.parameters["hem_score"].string_param == "0.25"


async def test_raw_contents_are_read_and_answered_raw(stub: Any) -> None:
    raw = request([b"x"])
    raw.inputs[0].ClearField("contents")
    raw.raw_input_contents.append(b"\x02\0\0\0hi")
    response = await stub.ModelInfer(raw)
    assert response.raw_output_contents[0] == b"\x02\0\0\0HI"


@pytest.mark.parametrize(
    ("bad", "code", "fault"),
    [
        (request([b"\xff"]), grpc.StatusCode.INVALID_ARGUMENT, "UTF-8"),
        (request([b" "]), grpc.StatusCode.INVALID_ARGUMENT, "empty"),
        (request([]), grpc.StatusCode.INVALID_ARGUMENT, "at least one"),
        (ModelInferRequest(model_name="m"), grpc.StatusCode.INVALID_ARGUMENT, "no input"),
        (
            request([b"x"], temperature=InferParameter(string_param="hot")),
            grpc.StatusCode.INVALID_ARGUMENT,
            "temperature",
        ),
        (request([b"x"], model="nope"), grpc.StatusCode.NOT_FOUND, "nope"),
        (request([b"fail"]), grpc.StatusCode.INTERNAL, "the script says fail"),
    ],
)
async def test_a_fault_has_a_status_and_a_reason(
    stub: Any, bad: Any, code: grpc.StatusCode, fault: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as raised:
        await stub.ModelInfer(bad)
    assert raised.value.code() == code
    assert fault in str(raised.value.details())
    assert (await stub.ModelInfer(request([b"x"]))).id == "g-1"


async def test_metadata_above_the_limit_is_refused_and_the_next_call_answered(stub: Any) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ModelInfer(request([b"x"]), metadata=(("x-long", "1" * 100_000),))
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (await stub.ModelInfer(request([b"x"]))).model_name == "m"
