"""The contract's own rules, on plain values."""

import json
import math
from typing import Any

import pytest
from hypothesis import given, strategies as st

from predictors.contract import (
    Answer,
    Sampling,
    grpc_scalars,
    hem_parameters,
    is_number,
    is_telemetry,
    parse_answers,
    parse_prefer,
    parse_sampling,
    parse_texts,
    sampling_parameters,
    text_request,
)
from predictors.errors import InvalidRequest

texts = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


@given(st.lists(texts, min_size=1), st.booleans(), st.booleans())
def test_texts_come_as_rows_or_columns_and_as_str_or_bytes(
    rows: list[str], as_column: bool, as_bytes: bool
) -> None:
    data: list[Any] = [row.encode() if as_bytes else row for row in rows]
    shape = [len(rows), 1] if as_column else [len(rows)]
    assert parse_texts(shape, "BYTES", [[e] for e in data] if as_column else data) == rows


@pytest.mark.parametrize(
    ("shape", "datatype", "data", "fault"),
    [
        ([1], "FP32", [1.0], "datatype BYTES"),
        ([2], "BYTES", ["a"], "1 elements"),
        ([1, 2], "BYTES", ["a", "b"], r"\[N\] or \[N, 1\]"),
        ([], "BYTES", ["a"], r"\[N\] or \[N, 1\]"),
        ([0], "BYTES", [], "at least one"),
        ([1], "BYTES", None, "no data"),
        ([1], "BYTES", "a", "no data"),
        ([1], "BYTES", [7], r"text_input\[0\] must be a string, not int"),
        ([1], "BYTES", [None], "not null"),
        ([2], "BYTES", ["a", " \n"], r"text_input\[1\] is empty"),
        ([1], "BYTES", [b"\xff"], "not UTF-8"),
        ([1], "BYTES", ["\ud800"], "lone surrogate"),
        ([-1], "BYTES", ["a"], "1 elements"),
    ],
)
def test_a_wrong_text_input_is_refused_and_the_fault_named(
    shape: list[int], datatype: str, data: Any, fault: str
) -> None:
    with pytest.raises(InvalidRequest, match=fault):
        parse_texts(shape, datatype, data)


samplings = st.builds(
    Sampling,
    max_tokens=st.integers(1, 10_000),
    temperature=st.floats(0, 2),
    top_p=st.floats(0.001, 1),
    repetition_penalty=st.floats(0.5, 10),
    stop=st.lists(st.text(min_size=1), max_size=4).map(tuple),
    seed=st.none() | st.integers(0, 2**63 - 1),
)


@given(samplings)
def test_sampling_survives_the_wire(sampling: Sampling) -> None:
    assert parse_sampling(sampling_parameters(sampling), Sampling()) == sampling


@given(samplings)
def test_numbers_may_be_decimal_strings(sampling: Sampling) -> None:
    as_strings = {
        name: value if name == "stop" else repr(value)
        for name, value in sampling_parameters(sampling).items()
    }
    assert parse_sampling(as_strings, Sampling()) == sampling


def test_absent_parameters_are_the_defaults() -> None:
    defaults = Sampling(max_tokens=7, temperature=0)
    assert parse_sampling({"max_tokens": 3, "unknown": 1}, defaults) == Sampling(3, 0)
    assert parse_sampling({}, Sampling()) == Sampling(512, 0.8, 0.8, 1.05, (), None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_tokens", 0),
        ("max_tokens", -1),
        ("max_tokens", 1.5),
        ("max_tokens", True),
        ("max_tokens", "many"),
        ("max_tokens", 10**9),
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", math.nan),
        ("temperature", "nan"),
        ("temperature", math.inf),
        ("temperature", False),
        ("top_p", 0),
        ("top_p", 1.01),
        ("repetition_penalty", 0),
        ("repetition_penalty", "inf"),
        ("seed", -1),
        ("seed", 2**63),
        ("stop", ""),
        ("stop", "[1]"),
        ("stop", '["a", ""]'),
        ("stop", 3),
        ("stop", json.dumps(["x"] * 17)),
    ],
)
def test_a_parameter_out_of_range_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(InvalidRequest, match=name):
        parse_sampling({name: value}, Sampling())


def test_stop_is_a_string_or_a_json_array_in_a_string() -> None:
    assert parse_sampling({"stop": "\n\n"}, Sampling()).stop == ("\n\n",)
    assert parse_sampling({"stop": '["a", "b"]'}, Sampling()).stop == ("a", "b")
    assert parse_sampling({"stop": "[INST]"}, Sampling()).stop == ("[INST]",)


def test_prefer_is_edge_or_cloud() -> None:
    assert parse_prefer({}) is None
    assert parse_prefer({"hem_prefer": "edge"}) == "edge"
    with pytest.raises(InvalidRequest, match="hem_prefer must be 'edge' or 'cloud', not 'moon'"):
        parse_prefer({"hem_prefer": "moon"})


def test_only_hem_parameters_are_carried_back() -> None:
    assert hem_parameters({"hem_route": "edge", "seed": 1}) == {"hem_route": "edge"}


def test_answers_are_read_from_a_response() -> None:
    response = {
        "model_name": "cloud",
        "outputs": [
            {"name": "text_output", "data": ["a", "b"]},
            {"name": "mean_logprob", "data": [-0.5, -1.0]},
        ],
        "parameters": {"served_by": "big", "cached": True},
    }
    assert parse_answers(response) == [
        Answer("a", mean_logprob=-0.5, served_by="big", cached=True),
        Answer("b", mean_logprob=-1.0, served_by="big", cached=True),
    ]


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text() | st.just("text_output"),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["outputs", "name", "data", "parameters", "x"]), inner, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_anything_that_is_no_response_is_a_value_error(response: Any) -> None:
    for whole in (response, {"outputs": response}, {"outputs": [response]}):
        _is_answers_or_a_value_error(whole)


def _is_answers_or_a_value_error(response: Any) -> None:
    try:
        answers = parse_answers(response)
    except ValueError:
        return
    assert all(isinstance(answer.text, str) for answer in answers)


@pytest.mark.parametrize(
    ("name", "value", "valid"),
    [
        ("prompt_tokens", 0, True),
        ("completion_tokens", 2**31 - 1, True),
        ("completion_tokens", 3_000_000_000, False),
        ("completion_tokens", 7.0, False),
        ("completion_tokens", 1.5, False),
        ("completion_tokens", True, False),
        ("completion_tokens", "7", False),
        ("mean_logprob", -0.5, True),
        ("mean_logprob", 0, True),
        ("mean_logprob", None, False),
        ("mean_logprob", False, False),
        ("mean_logprob", math.nan, False),
        ("mean_logprob", -math.inf, False),
        ("time_to_first_token", 1e39, False),
        ("time_to_first_token", 10**400, False),
    ],
)
def test_telemetry_is_what_its_tensor_can_hold(name: str, value: Any, valid: bool) -> None:
    assert is_telemetry(name, value) is valid


def test_a_number_is_finite_and_fits_into_a_float() -> None:
    assert all(map(is_number, [0, -1.5, 2**63]))
    assert not any(map(is_number, [True, None, "1", math.nan, math.inf, 10**400]))


def response(texts: Any, **telemetry: Any) -> dict[str, Any]:
    outputs = [{"name": name, "data": data} for name, data in telemetry.items()]
    return {"outputs": [{"name": "text_output", "data": texts}, *outputs]}


@pytest.mark.parametrize(
    ("texts", "counts", "expected"),
    [
        (["a"], [7], [7]),
        ([["a"]], [[7]], [7]),
        ([[["a"], ["b"]]], [[7, 8]], [7, 8]),
        (["a"], [None], [None]),
        (["a", "b"], [7, None], [7, None]),
        (["a"], None, [None]),
        (["a"], [], [None]),
        (["a"], [1, 2], [None]),
        (["a"], [7.0], [7]),
        (["a"], ["7"], [7]),
        (["a"], [1.5], [None]),
        (["a"], [3_000_000_000], [None]),
        (["a"], [math.nan], [None]),
        (["a"], [True], [None]),
        (["a"], ["many"], [None]),
    ],
)
def test_telemetry_is_read_or_left_out_and_never_fails_an_answer(
    texts: Any, counts: Any, expected: list[int | None]
) -> None:
    answers = parse_answers(response(texts, completion_tokens=counts, extra=[{"x": 1}]))
    assert [answer.completion_tokens for answer in answers] == expected
    assert "".join(answer.text for answer in answers) == "ab"[: len(expected)]


@pytest.mark.parametrize("texts", [None, "a", ["a", None], [7], [{"a": 1}], ["\ud83d"]])
def test_what_is_not_text_is_no_answer(texts: Any) -> None:
    with pytest.raises(ValueError, match=r"text_output is not a list of strings|surrogates"):
        parse_answers(response(texts))


def test_an_error_in_an_answer_is_told() -> None:
    with pytest.raises(ValueError, match="no V2 response, but an error: no GPU"):
        parse_answers({"error": "no GPU"})


def test_text_that_says_it_is_base64_is_decoded() -> None:
    body = response(["R3LDvMOfZQ=="])
    body["outputs"][0]["parameters"] = {"content_type": "base64"}
    assert parse_answers(body)[0].text == "Grüße"


def test_floats_are_strings_over_grpc() -> None:
    parameters = {"a": 0.1, "b": 1, "c": True, "d": "x"}
    assert grpc_scalars(parameters) == {"a": "0.1", "b": 1, "c": True, "d": "x"}


def test_a_request_names_its_queries() -> None:
    assert text_request(["a"], {"seed": 1}, id="7") == {
        "id": "7",
        "inputs": [{"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["a"]}],
        "parameters": {"seed": 1},
    }
