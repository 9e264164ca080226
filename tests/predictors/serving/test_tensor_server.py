"""Tensors through a live server: REST as JSON and binary, gRPC typed and raw, good and bad."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from kserve import InferInput, InferRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import (
    InferParameter,
    InferTensorContents,
    ModelInferRequest,
)
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

from predictors.contract.tensors import DTYPES
from tests.conftest import ServerProcess, StartServer

EXAMPLES: dict[str, list[Any]] = {
    "BOOL": [True, False],
    **{f"UINT{bits}": [0, 2**bits - 1] for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1] for bits in (8, 16, 32, 64)},
    "FP16": [-0.5, 65504.0],
    "FP32": [-0.5, 3.4028234663852886e38],
    "FP64": [0.1, -1.7976931348623157e308],
    "BYTES": ["grüß", ""],
}
JSON_TYPES = [datatype for datatype in EXAMPLES if datatype != "FP16"]  # V2 JSON has no FP16
CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(["UINT8", "UINT16", "UINT32"], "uint_contents"),
    "UINT64": "uint64_contents",
    **dict.fromkeys(["INT8", "INT16", "INT32"], "int_contents"),
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}


@pytest.fixture(scope="module")
def echo(start_server: StartServer) -> ServerProcess:
    arguments = ["--model_name", "m", "--engine", "echo", "--max_body_bytes", "65536"]
    return start_server("tests.predictors.scripted_tensors", *arguments, ready="/v2/models/m/ready")


@pytest.fixture
async def stub(echo: ServerProcess) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{echo.grpc_port}") as channel:
        yield GRPCInferenceServiceStub(channel)


def tensor(datatype: str = "FP32", data: Any = None, **fields: Any) -> dict[str, Any]:
    data = EXAMPLES[datatype] if data is None else data
    return {"name": "x", "datatype": datatype, "shape": [len(data)], "data": data, **fields}


def request(*inputs: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"inputs": list(inputs) or [tensor()], **fields}


def infer(server: ServerProcess, **kwargs: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/v2/models/m/infer", timeout=10, **kwargs)


def array(datatype: str) -> np.ndarray:
    values = EXAMPLES[datatype]
    items = [value.encode() for value in values] if datatype == "BYTES" else values
    return np.array(items, dtype=DTYPES[datatype]).reshape(2, 1)


def binary(datatype: str, **fields: Any) -> tuple[bytes, dict[str, str]]:
    """A REST request with binary tensors, as kserve's own client writes it."""
    given = InferInput("x", [2, 1], datatype)
    given.set_data_from_numpy(array(datatype))
    body, length = InferRequest("m", [given], **fields).to_rest()
    assert isinstance(body, bytes)
    return body, {
        "content-type": "application/octet-stream",
        "inference-header-content-length": str(length),
    }


def outputs_of(response: httpx.Response) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The JSON part, and the raw bytes of each binary output."""
    assert response.status_code == 200, response.text
    length = int(response.headers.get("inference-header-content-length", len(response.content)))
    answer = json.loads(response.content[:length])
    raw = {}
    for output in answer["outputs"]:
        if size := (output.get("parameters") or {}).get("binary_data_size"):
            raw[output["name"]] = response.content[length : length + size]
            length += size
    return answer, raw


@pytest.mark.parametrize("datatype", JSON_TYPES)
def test_json_of_each_datatype_comes_back(echo: ServerProcess, datatype: str) -> None:
    nested = [[value] for value in EXAMPLES[datatype]]
    for data, shape in ((EXAMPLES[datatype], [2]), (nested, [2, 1])):
        answer = infer(echo, json=request(tensor(datatype, data, shape=shape), id="q-7")).json()
        (output,) = answer["outputs"]
        assert (output["name"], output["datatype"], output["shape"]) == ("x", datatype, shape)
        assert output["data"] == EXAMPLES[datatype]
        assert (answer["id"], answer["model_name"]) == ("q-7", "m")


@pytest.mark.parametrize("datatype", list(EXAMPLES))
def test_binary_tensors_of_each_datatype_come_back(echo: ServerProcess, datatype: str) -> None:
    body, headers = binary(datatype, parameters={"binary_data_output": True})
    answer, raw = outputs_of(infer(echo, content=body, headers=headers))
    (output,) = answer["outputs"]
    assert (output["datatype"], output["shape"]) == (datatype, [2, 1])
    assert "data" not in output
    assert body.endswith(raw["x"]) and len(raw["x"]) > 1


def test_binary_in_and_json_out_and_the_other_way_round(echo: ServerProcess) -> None:
    body, headers = binary("FP32")
    answer, raw = outputs_of(infer(echo, content=body, headers=headers))
    assert (answer["outputs"][0]["data"], raw) == (EXAMPLES["FP32"], {})
    wanted = [{"name": "x", "parameters": {"binary_data": True}}]
    answer, raw = outputs_of(infer(echo, json=request(outputs=wanted)))
    assert raw["x"] == array("FP32").tobytes()


@pytest.mark.parametrize("shape", [[0], [0, 3]])
def test_no_rows_are_no_rows(echo: ServerProcess, shape: list[int]) -> None:
    for binary_output in (True, False):
        parameters = {"binary_data_output": binary_output}
        empty = request(tensor("FP32", [], shape=shape), parameters=parameters)
        assert outputs_of(infer(echo, json=empty))[0]["outputs"][0]["shape"] == shape


def test_parameters_of_mining_come_back_and_others_go_to_the_engine(echo: ServerProcess) -> None:
    given = {"hem_route": "edge", "hem_score": 0.25, "cached": "yes", "other": 1}
    parameters = infer(echo, json=request(parameters=given)).json()["parameters"]
    assert parameters == {
        "hem_route": "edge",
        "hem_score": 0.25,
        "served_by": "m",
        "cached": True,
    }


def test_only_requested_outputs_are_sent_in_their_order(echo: ServerProcess) -> None:
    two = [tensor("INT8", name="b"), tensor(name="a"), tensor(name="c")]
    answer = infer(echo, json=request(*two, outputs=[{"name": "a"}, {"name": "b"}])).json()
    assert [output["name"] for output in answer["outputs"]] == ["a", "b"]


def test_metadata_are_the_engines_own(echo: ServerProcess) -> None:
    metadata = httpx.get(f"{echo.url}/v2/models/m").json()
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]
    assert [each["name"] for each in metadata["outputs"]] == ["x", "labels"]


RAW = binary("FP32")


@pytest.mark.parametrize(
    ("kwargs", "status", "fault"),
    [
        ({"json": {"inputs": []}}, 400, "no inputs"),
        ({"json": request(tensor(), tensor("INT8"))}, 400, "more than one input 'x'"),
        ({"json": request(tensor(shape=[3]))}, 400, "'x' has shape [3] but 2 elements"),
        ({"json": request(tensor(shape=[-1]))}, 400, "a length is 0 or more"),
        ({"json": request(tensor(shape=[2**70]))}, 400, "'x' has shape"),
        ({"json": request(tensor(shape=["two"]))}, 422, "shape"),
        ({"json": request(tensor(datatype="FP8", data=[1]))}, 400, "unknown datatype 'FP8'"),
        ({"json": request(tensor("INT8", [1, 300]))}, 400, "not INT8: out of range"),
        ({"json": request(tensor("INT8", [0.5]))}, 400, "not INT8: found a fraction"),
        ({"json": request(tensor("FP32", ["a"]))}, 400, "not FP32: found 'a'"),
        ({"json": request(tensor("BYTES", [7]))}, 400, "not BYTES: found 7"),
        ({"json": request(tensor("FP16", [0.5]))}, 400, "FP16"),
        ({"json": request(tensor("FP32", [None]))}, 400, "found None"),
        ({"json": request(outputs=[{"name": "y"}])}, 400, "unknown output 'y'"),
        ({"json": request(tensor(name="refuse"))}, 400, "the script says refuse"),
        ({"json": request(tensor(name="fail"))}, 500, "the script says fail"),
        ({"json": request(tensor(name="crash"))}, 500, "the script says crash"),
        ({"json": request(tensor(data=[0.0] * 40_000))}, 413, "65536"),
        ({"content": RAW[0][:-1], "headers": RAW[1]}, 400, "binary_data_size"),
        ({"content": RAW[0] + b"x", "headers": RAW[1]}, 400, "1 bytes after"),
        ({"content": binary("FP16")[0], "headers": binary("FP16")[1]}, 400, "binary_data"),
    ],
)  # fmt: skip
def test_a_bad_request_is_an_error_that_says_why_and_the_next_good_one_works(
    echo: ServerProcess, kwargs: dict[str, Any], status: int, fault: str
) -> None:
    response = infer(echo, **kwargs)
    assert response.status_code == status, response.text
    assert fault in response.json()["error"]
    assert infer(echo, json=request()).status_code == 200


def grpc_request(datatype: str, raw: bool, **fields: Any) -> Any:
    values = array(datatype)
    described = {"name": "x", "datatype": datatype, "shape": [2, 1]}
    if not raw:
        contents = InferTensorContents(**{CONTENTS[datatype]: values.ravel().tolist()})
        return ModelInferRequest(
            model_name="m", inputs=[{**described, "contents": contents}], **fields
        )
    content = (
        b"".join(len(each).to_bytes(4, "little") + each for each in values.ravel())
        if datatype == "BYTES"
        else values.tobytes()
    )
    return ModelInferRequest(
        model_name="m", inputs=[described], raw_input_contents=[content], **fields
    )


@pytest.mark.parametrize("datatype", JSON_TYPES)
async def test_typed_contents_of_each_datatype_come_back(stub: Any, datatype: str) -> None:
    response = await stub.ModelInfer(grpc_request(datatype, raw=False))
    (output,) = response.outputs
    assert (output.datatype, list(output.shape)) == (datatype, [2, 1])
    assert list(getattr(output.contents, CONTENTS[datatype])) == array(datatype).ravel().tolist()


@pytest.mark.parametrize("datatype", list(EXAMPLES))
async def test_raw_contents_of_each_datatype_come_back(stub: Any, datatype: str) -> None:
    given = grpc_request(datatype, raw=True)
    response = await stub.ModelInfer(given)
    assert list(response.raw_output_contents) == list(given.raw_input_contents)


async def test_bytes_that_are_not_utf8_pass_grpc(stub: Any) -> None:
    contents = InferTensorContents(bytes_contents=[b"\xff\xd8\xff"])
    image = {"name": "x", "datatype": "BYTES", "shape": [1], "contents": contents}
    response = await stub.ModelInfer(ModelInferRequest(model_name="m", inputs=[image]))
    assert list(response.outputs[0].contents.bytes_contents) == [b"\xff\xd8\xff"]


async def test_parameters_of_mining_come_back_over_grpc(stub: Any) -> None:
    given = {"hem_score": InferParameter(string_param="0.25")}
    response = await stub.ModelInfer(grpc_request("FP32", raw=False, parameters=given))
    assert response.parameters["hem_score"].string_param == "0.25"
    assert response.parameters["served_by"].string_param == "m"


def _changed(change: Callable[[Any], Any], raw: bool = False) -> Any:
    found = grpc_request("FP32", raw)
    change(found)
    return found


@pytest.mark.parametrize(
    ("bad", "code", "fault"),
    [
        (
            ModelInferRequest(model_name="m"),
            grpc.StatusCode.INVALID_ARGUMENT,
            "no inputs",
        ),
        (
            _changed(lambda r: r.inputs[0].shape.append(2)),
            grpc.StatusCode.INVALID_ARGUMENT,
            "shape [2, 1, 2] but 2 elements",
        ),
        (
            _changed(lambda r: r.inputs.append(r.inputs[0])),
            grpc.StatusCode.INVALID_ARGUMENT,
            "more than one",
        ),
        (
            _changed(lambda r: setattr(r.inputs[0], "datatype", "FP64"), raw=True),
            grpc.StatusCode.INVALID_ARGUMENT,
            "8 bytes don't fill FP64",
        ),
        (
            _changed(lambda r: setattr(r.inputs[0], "datatype", "BYTES"), raw=True),
            grpc.StatusCode.INVALID_ARGUMENT,
            "raw contents",
        ),
        (
            _changed(lambda r: r.outputs.add(name="y")),
            grpc.StatusCode.INVALID_ARGUMENT,
            "unknown output 'y'",
        ),
        (
            _changed(lambda r: setattr(r.inputs[0], "name", "fail")),
            grpc.StatusCode.INTERNAL,
            "the script says fail",
        ),
    ],
)
async def test_a_bad_grpc_request_has_a_status_and_a_reason(
    stub: Any, bad: Any, code: grpc.StatusCode, fault: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ModelInfer(bad)
    assert refused.value.code() == code
    assert fault in str(refused.value.details())
    await stub.ModelInfer(grpc_request("FP32", raw=False))
