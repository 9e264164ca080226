"""A request that kserve decoded becomes the same JSON again, whatever it held."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kserve import InferRequest
from kserve.protocol.infer_type import InferInput
from kserve.protocol.rest.v2_datamodels import InferenceRequest

from predictors.errors import InvalidRequest
from tests.transformers_hem.v2 import grpc_request
from transformers_hem.serving.request_json import request_json

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


def test_grpc_bytes_and_raw_contents_become_text() -> None:
    plain = InferRequest.from_grpc(grpc_request("grüß"))
    raw = grpc_request("x")
    raw.inputs[0].ClearField("contents")
    raw.raw_input_contents.append(b"\x02\0\0\0hi")
    for request, text in ((plain, "grüß"), (InferRequest.from_grpc(raw), "hi")):
        assert orjson.loads(request_json(request, {}))["inputs"][0]["data"] == [text]


@pytest.mark.parametrize("data", [[b"\xff"], ["\ud800"], [2**64]])
def test_what_json_cannot_say_is_a_bad_request(data: list[Any]) -> None:
    request = InferRequest("m", [InferInput("t", [1], "BYTES", data)])
    with pytest.raises(InvalidRequest):
        request_json(request, {})
