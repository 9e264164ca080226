"""Whatever V2 allows a far side to answer, the uplink reads; its telemetry never costs the text."""

import json
import struct
from typing import Any

import numpy as np
import pytest
from kserve.protocol.grpc import grpc_predict_v2_pb2 as v2

from predictors.contract import Answer, Query
from predictors.contract.tensors import Tensor, TensorRequest
from predictors.errors import UpstreamError
from tests.predictors.engines.answering import answering
from tests.predictors.upstream.test_v2_transports import far_side, linked

TEXT = {"name": "text_output", "datatype": "BYTES", "shape": [1], "data": ["ok"]}
PROBABILITY = {"name": "mean_logprob", "datatype": "FP32", "shape": [1], "data": [-0.5]}
COUNT = {"name": "completion_tokens", "datatype": "INT32", "shape": [1], "data": [7]}


def body(*outputs: dict[str, Any], **more: Any) -> bytes:
    return json.dumps({"model_name": "m", "outputs": list(outputs), **more}).encode()


REST = {
    "flat": body(TEXT, PROBABILITY, COUNT),
    "nested": body({**TEXT, "shape": [1, 1], "data": [["ok"]]}, PROBABILITY, COUNT),
    "nested telemetry": body(
        TEXT, {**PROBABILITY, "shape": [1, 1], "data": [[-0.5]]}, {**COUNT, "data": [[7]]}
    ),
    "other datatypes": body(
        TEXT, {**PROBABILITY, "datatype": "FP64"}, {**COUNT, "datatype": "FP64", "data": [7.0]}
    ),
    "INT64 as text, as protobuf has it": body(TEXT, PROBABILITY, {**COUNT, "data": ["7"]}),
    "no shape, no datatype": body(
        *({"name": each["name"], "data": each["data"]} for each in (TEXT, PROBABILITY, COUNT))
    ),
    "an empty shape": body({**TEXT, "shape": []}, PROBABILITY, COUNT),
    "extra outputs": body(
        {"name": "x", "datatype": "BF16", "shape": [2], "data": None}, TEXT, PROBABILITY, COUNT
    ),
    "a byte order mark": b"\xef\xbb\xbf" + body(TEXT, PROBABILITY, COUNT),
    "NaN beside it": body(
        TEXT, PROBABILITY, COUNT, {**PROBABILITY, "name": "min_logprob", "data": [float("nan")]}
    ),
    "parameters null": body(TEXT, PROBABILITY, COUNT, parameters=None, id=None),
}


@pytest.mark.parametrize("name", REST)
async def test_a_rest_answer_is_read(name: str) -> None:
    async with answering(REST[name]) as url, linked(url, "rest") as engine:
        (answer,) = await engine.generate([Query("x")])
    assert answer == Answer("ok", mean_logprob=-0.5, completion_tokens=7, served_by="m")


@pytest.mark.parametrize(
    "odd",
    [
        {**PROBABILITY, "data": [None]},
        {**PROBABILITY, "data": [float("-inf")]},
        {**PROBABILITY, "data": []},
        {**PROBABILITY, "data": None},
        {**PROBABILITY, "data": [-0.5, -0.5]},
        {**PROBABILITY, "data": ["low"]},
        {**PROBABILITY, "data": [1e39]},
        {**PROBABILITY, "data": [False]},
        {"name": "mean_logprob", "parameters": {"binary_data_size": 4}},
    ],
)
async def test_telemetry_that_is_none_costs_no_answer(odd: dict[str, Any]) -> None:
    async with answering(body(TEXT, odd, COUNT)) as url, linked(url, "rest") as engine:
        (answer,) = await engine.generate([Query("x")])
    assert answer == Answer("ok", completion_tokens=7, served_by="m")


def raw_text(*texts: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in texts)


def output(name: str, datatype: str, *, shape: Any = (1,), **contents: Any) -> Any:
    return v2.ModelInferResponse.InferOutputTensor(
        name=name, datatype=datatype, shape=shape, contents=v2.InferTensorContents(**contents)
    )


def answered(*outputs: Any, raw: list[bytes] | None = None) -> v2.ModelInferResponse:
    return v2.ModelInferResponse(model_name="m", outputs=outputs, raw_output_contents=raw or [])


OK = output("text_output", "BYTES", bytes_contents=[b"ok"])
GRPC = {
    "typed": answered(
        OK,
        output("mean_logprob", "FP32", fp32_contents=[-0.5]),
        output("completion_tokens", "INT32", int_contents=[7]),
    ),
    "raw": answered(
        output("text_output", "BYTES"),
        output("mean_logprob", "FP32"),
        output("completion_tokens", "INT32"),
        raw=[raw_text(b"ok"), struct.pack("<f", -0.5), struct.pack("<i", 7)],
    ),
    "typed, other datatypes": answered(
        OK,
        output("mean_logprob", "FP64", fp64_contents=[-0.5]),
        output("completion_tokens", "INT64", int64_contents=[7]),
    ),
    "raw, other datatypes": answered(
        output("text_output", "BYTES"),
        output("mean_logprob", "FP64"),
        output("completion_tokens", "UINT64"),
        raw=[raw_text(b"ok"), struct.pack("<d", -0.5), struct.pack("<Q", 7)],
    ),
    "FP16, and a whole number as a float": answered(
        output("text_output", "BYTES"),
        output("mean_logprob", "FP16"),
        output("completion_tokens", "FP32"),
        raw=[raw_text(b"ok"), np.float16(-0.5).tobytes(), struct.pack("<f", 7)],
    ),
    "columns": answered(
        output("text_output", "BYTES", shape=(1, 1), bytes_contents=[b"ok"]),
        output("mean_logprob", "FP32", shape=(1, 1), fp32_contents=[-0.5]),
        output("completion_tokens", "INT32", shape=(1, 1), int_contents=[7]),
    ),
    "no shape": answered(
        output("text_output", "BYTES", shape=(), bytes_contents=[b"ok"]),
        output("mean_logprob", "FP32", shape=(), fp32_contents=[-0.5]),
        output("completion_tokens", "INT32", shape=(), int_contents=[7]),
    ),
    "extra outputs of any kind": answered(
        output("image", "BYTES"),
        output("states", "BF16", shape=(2,)),
        output("text_output", "BYTES"),
        output("mean_logprob", "FP32"),
        output("completion_tokens", "INT32"),
        raw=[
            *(raw_text(b"\xff\xd8"), bytes(4), raw_text(b"ok")),
            *(struct.pack("<f", -0.5), struct.pack("<i", 7)),
        ],
    ),
    "NaN beside it": answered(
        OK,
        output("mean_logprob", "FP32", fp32_contents=[-0.5]),
        output("completion_tokens", "INT32", int_contents=[7]),
        output("min_logprob", "FP32", fp32_contents=[float("nan")]),
        output("prompt_tokens", "FP64", fp64_contents=[1.5]),
        output("mean_margin", "BYTES", bytes_contents=[b"x"]),
    ),
}


@pytest.mark.parametrize("name", GRPC)
async def test_a_grpc_answer_is_read(name: str) -> None:
    async def infer(request: v2.ModelInferRequest, context: Any) -> v2.ModelInferResponse:
        return GRPC[name]

    async with far_side(infer) as port, linked(f"http://127.0.0.1:{port}", "grpc") as engine:
        (answer,) = await engine.generate([Query("x")])
    assert answer == Answer("ok", mean_logprob=-0.5, completion_tokens=7, served_by="m")


ASKED = TensorRequest({"x": Tensor.of(np.ones(1))})


async def test_tensors_without_a_shape_have_that_of_their_data() -> None:
    outputs = body({"name": "p", "datatype": "FP32", "data": [[0.25, 0.75]]})
    async with answering(outputs) as url, linked(url, "rest") as engine:
        response = await engine.infer(ASKED)
    assert response.outputs["p"].values.tolist() == [[0.25, 0.75]]


async def test_null_in_a_tensor_of_floats_is_nan() -> None:
    outputs = body({"name": "p", "datatype": "FP32", "shape": [2], "data": [None, 0.5]})
    async with answering(outputs) as url, linked(url, "rest") as engine:
        values = (await engine.infer(ASKED)).outputs["p"].values
    assert np.isnan(values[0]) and values[1] == 0.5


async def test_null_in_a_tensor_of_integers_is_no_number() -> None:
    outputs = body({"name": "p", "datatype": "INT32", "shape": [1], "data": [None]})
    async with answering(outputs) as url, linked(url, "rest") as engine:
        with pytest.raises(UpstreamError, match="'p' are not INT32"):
            await engine.infer(ASKED)


async def test_a_tensor_answer_may_name_no_model() -> None:
    outputs = json.dumps(
        {"outputs": [{"name": "p", "datatype": "FP32", "shape": [1], "data": [1.0]}]}
    )
    async with answering(outputs.encode()) as url, linked(url, "rest") as engine:
        assert (await engine.infer(ASKED)).served_by is None


async def test_grpc_tensors_without_a_shape_are_rows() -> None:
    async def infer(request: v2.ModelInferRequest, context: Any) -> v2.ModelInferResponse:
        return answered(
            output("a", "FP32", shape=()),
            output("b", "BYTES", shape=()),
            raw=[struct.pack("<2f", 0.25, 0.75), raw_text(b"x", b"y")],
        )

    async with far_side(infer) as port, linked(f"http://127.0.0.1:{port}", "grpc") as engine:
        outputs = (await engine.infer(ASKED)).outputs
    assert outputs["a"].values.tolist() == [0.25, 0.75]
    assert outputs["b"].values.tolist() == [b"x", b"y"]
