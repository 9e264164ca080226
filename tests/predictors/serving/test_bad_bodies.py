"""Hundreds of generated bad V2 bodies against a live server: each a 4xx with `error`, at once."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from predictors.contract import text_request
from tests.conftest import ServerProcess

junk: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(min_value=2**63),
    st.floats(),
    st.text(),
    st.just("\ud800"),
    st.lists(st.integers() | st.text() | st.none(), max_size=4),
    st.dictionaries(st.text(max_size=4), st.integers() | st.text(), max_size=3),
)
not_a_list = junk.filter(lambda value: not isinstance(value, list))
# A null is as good as absent.
not_a_number = junk.filter(
    lambda v: v is not None and (isinstance(v, bool) or not isinstance(v, int | float))
)
NUMBERS = ["max_tokens", "temperature", "top_p", "repetition_penalty", "seed"]


def tensor_with(key: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    good = text_request(["x"])["inputs"][0]
    return values.map(lambda value: {"inputs": [{**good, key: value}]})


def with_parameters(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return values.map(lambda value: {**text_request(["x"]), "parameters": value})


def is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


bad_requests: st.SearchStrategy[Any] = st.one_of(
    junk,
    not_a_list.map(lambda value: {"inputs": value}),
    st.lists(junk, max_size=3).map(lambda values: {"inputs": values}),
    tensor_with("name", junk.filter(lambda value: value != "text_input")),
    tensor_with("datatype", junk.filter(lambda value: str(value).upper() != "BYTES")),
    tensor_with("shape", junk.filter(lambda value: value not in ([1], [1, 1], [True]))),
    tensor_with("data", junk.filter(lambda value: not _is_one_text(value))),
    st.sampled_from(["name", "shape", "datatype", "data"]).map(
        lambda key: {
            "inputs": [{k: v for k, v in text_request(["x"])["inputs"][0].items() if k != key}]
        }
    ),
    with_parameters(not_a_list.filter(lambda value: value is not None and value != {})).filter(
        lambda request: not isinstance(request["parameters"], dict)
    ),
    with_parameters(
        st.tuples(st.sampled_from(NUMBERS), not_a_number.filter(lambda v: not is_number(v))).map(
            lambda pair: {pair[0]: pair[1]}
        )
    ),
    with_parameters(
        st.tuples(st.sampled_from(NUMBERS), st.sampled_from([-1, 2**64, float("nan"), 1e300])).map(
            lambda pair: {pair[0]: pair[1]}
        )
    ),
    st.text(min_size=1)
    .filter(lambda name: name != "text_output")
    .map(lambda name: {**text_request(["x"]), "outputs": [{"name": name}]}),
)


def _is_one_text(value: Any) -> bool:
    return (
        isinstance(value, list)
        and len(value) == 1
        and isinstance(value[0], str)
        and bool(value[0].strip())
    )


bad_bodies = st.one_of(
    bad_requests.map(lambda request: json.dumps(request).encode()),
    st.binary(min_size=1),
    bad_requests.map(lambda request: json.dumps(request).encode()[:-1]),
)


@pytest.fixture(scope="module")
def client(scripted: ServerProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=scripted.url, timeout=1.0) as client:
        yield client


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(body=bad_bodies)
def test_a_bad_body_is_a_4xx_with_error_within_a_second(client: httpx.Client, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    response = client.post("/v2/models/m/infer", content=body, headers=headers)
    assert 400 <= response.status_code < 500, body
    assert isinstance(response.json()["error"], str)


@settings(max_examples=100, deadline=None)
@given(
    length=st.integers(-5, 200).map(str) | st.text(st.characters(codec="ascii", categories=["L"])),
    header=bad_requests,
    tail=st.binary(max_size=40),
)
def test_a_bad_binary_body_is_a_4xx_with_error(
    client: httpx.Client, length: str, header: Any, tail: bytes
) -> None:
    headers = {
        "content-type": "application/octet-stream",
        "inference-header-content-length": length,
    }
    body = json.dumps(header).encode() + tail
    response = client.post("/v2/models/m/infer", content=body, headers=headers)
    assert 400 <= response.status_code < 500, (length, body)
    assert isinstance(response.json()["error"], str)


def test_the_server_answers_a_good_request_after_all_that(client: httpx.Client) -> None:
    assert client.post("/v2/models/m/infer", json=text_request(["x"])).status_code == 200
