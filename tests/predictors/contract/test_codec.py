"""A request that kserve decoded becomes the same JSON again, whatever it held."""

from typing import Any

import orjson
import pytest
from hypothesis import given, strategies as st
from kserve import InferRequest
from kserve.protocol.grpc.grpc_predict_v2_pb2 import InferTensorContents, ModelInferRequest
from kserve.protocol.infer_type import InferInput
from kserve.protocol.rest.v2_datamodels import InferenceRequest

from predictors.contract.codec import grpc_error, request_json
from predictors.errors import Cause, InvalidRequest, UpstreamError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
INTEGER = st.integers(-(2**63), 2**63)
SCALAR = st.one_of(TEXT, INTEGER, st.booleans(), st.floats(allow_nan=False, allow_infinity=False))
PARAMETERS = st.dictionaries(TEXT.map("p".__add__), SCALAR, min_size=1, max_size=3)


def tensor(data: list[Any]) -> dict[str, Any]:
    return {"name": "t", "shape": [len(data)], "datatype": "BYTES", "data": data}


@given(
    data=st.lists(st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3), max_leaves=9)),
    parameters=PARAMETERS,
    outputs=st.lists(TEXT, min_size=1, max_size=3),
    name=TEXT.filter(len),
)
def test_json_survives(
    data: list[Any], parameters: dict[str, Any], outputs: list[str], name: str
) -> None:
    sent = {
        "id": name,
        "parameters": parameters,
        "inputs": [{**tensor(data), "parameters": parameters}, tensor([])],
        "outputs": [{"name": output, "parameters": parameters} for output in outputs],
    }
    decoded = InferRequest.from_inference_request(InferenceRequest.model_validate(sent), "m")
    assert orjson.loads(request_json(decoded, decoded.parameters)) == sent


def test_a_declined_question_is_no_fault_of_the_server_over_grpc_either() -> None:
    """An uplink would count INTERNAL against it, and UNAVAILABLE would be tried again."""
    assert grpc_error(UpstreamError("x", Cause.DECLINED)).status_code.name == "INVALID_ARGUMENT"


def grpc_request(datatype: str, raw: bytes | None = None, **contents: list[Any]) -> InferRequest:
    """With one element, typed or raw."""
    tensor = {
        "name": "t",
        "datatype": datatype,
        "shape": [1],
        "contents": InferTensorContents(**contents) if contents else None,
    }
    raws = [] if raw is None else [raw]
    request = ModelInferRequest(model_name="m", inputs=[tensor], raw_input_contents=raws)
    return InferRequest.from_grpc(request)


@pytest.mark.parametrize(
    ("request_", "value"),
    [
        (grpc_request("BYTES", bytes_contents=["grüß".encode()]), "grüß"),
        (grpc_request("BYTES", raw=b"\x02\0\0\0hi"), "hi"),
        (grpc_request("FP32", fp32_contents=[0.5]), 0.5),
        (grpc_request("INT16", raw=b"\x02\x01"), 258),
    ],
)
def test_grpc_contents_become_json(request_: InferRequest, value: Any) -> None:
    assert orjson.loads(request_json(request_, {}))["inputs"][0]["data"] == [value]


@pytest.mark.parametrize("raw", [b"\x02\0\0\0h", b"\x01\0\0\0\xff", b"\1"])
def test_broken_grpc_contents_are_a_bad_request(raw: bytes) -> None:
    with pytest.raises(InvalidRequest, match="'t'"):
        request_json(grpc_request("BYTES", raw=raw), {})


@pytest.mark.parametrize("data", [[b"\xff"], ["\ud800"], [2**64]])
def test_what_json_cannot_say_is_a_bad_request(data: list[Any]) -> None:
    request = InferRequest("m", [InferInput("t", [1], "BYTES", data)])
    with pytest.raises(InvalidRequest):
        request_json(request, {})


@pytest.mark.parametrize(
    "request_",
    [
        grpc_request("FP32", fp32_contents=[float("nan")]),
        grpc_request("FP64", fp64_contents=[float("inf")]),
        grpc_request("FP32", raw=b"\0\0\xc0\x7f"),
        grpc_request("FP16", raw=b"\0\x7e"),
        InferRequest("m", [InferInput("t", [2], "FP32", [0.5, float("-inf")])]),
    ],
)
def test_nan_is_never_a_null(request_: InferRequest) -> None:
    with pytest.raises(InvalidRequest, match="input 't' holds NaN or infinity"):
        request_json(request_, {})
