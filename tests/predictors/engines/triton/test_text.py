"""Queries as the tensors of each LLM back end, and its responses as answers."""

import json
from typing import Any

import numpy as np
import pytest

from predictors.contract import Answer, Sampling
from predictors.contract.tensors import Tensor, TensorType
from predictors.engines.triton.client import Tensors, Transactions, TritonModel
from predictors.engines.triton.gathering import StreamedAnswer, row_answers
from predictors.engines.triton.text import (
    check_text,
    takes_rows,
    text_inputs,
    text_parameters,
)
from predictors.errors import InvalidRequest, UpstreamError

GREEDY = Sampling(max_tokens=5, temperature=0.0, stop=("\n", "Q:"), seed=7)


def model(
    inputs: dict[str, tuple[str, tuple[int, ...]]], *, decoupled: bool = False
) -> TritonModel:
    types = {name: TensorType(name, *kind) for name, kind in inputs.items()}
    outputs = {"text_output": TensorType("text_output", "BYTES", (-1,))}
    return TritonModel("m", types, outputs, Transactions(decoupled))


def lists(tensors: Tensors) -> dict[str, Any]:
    return {name: (tensor.datatype, tensor.values.tolist()) for name, tensor in tensors.items()}


VLLM = model(
    {
        "text_input": ("BYTES", (1,)),
        "image": ("BYTES", (-1,)),
        "stream": ("BOOL", (1,)),
        "sampling_parameters": ("BYTES", (1,)),
        "exclude_input_in_output": ("BOOL", (1,)),
        "return_logprobs": ("BOOL", (1,)),
        "return_num_output_tokens": ("BOOL", (1,)),
    },
    decoupled=True,
)


def test_vllm_gets_its_options_as_json_in_one_tensor() -> None:
    tensors = lists(text_inputs(VLLM, ["grüß"], GREEDY))
    datatype, (options,) = tensors.pop("sampling_parameters")
    assert datatype == "BYTES"
    assert json.loads(options) == {
        **{"max_tokens": 5, "temperature": 0.0, "top_p": 0.8, "repetition_penalty": 1.05},
        **{"stop": ["\n", "Q:"], "seed": 7, "logprobs": 2},
    }
    yes = ("BOOL", [True])
    assert tensors == {
        "text_input": ("BYTES", ["grüß".encode()]),
        **{"stream": yes, "exclude_input_in_output": yes},
        **{"return_logprobs": yes, "return_num_output_tokens": yes},
    }
    assert text_parameters(VLLM, GREEDY) == {}


def test_an_older_vllm_backend_is_not_asked_for_what_it_can_not_give() -> None:
    older = model({"text_input": ("BYTES", (1,)), "sampling_parameters": ("BYTES", (1,))})
    tensors = lists(text_inputs(older, ["a"], Sampling()))
    assert set(tensors) == {"text_input", "sampling_parameters"}
    assert set(json.loads(tensors["sampling_parameters"][1][0])) == {
        *("max_tokens", "temperature", "top_p", "repetition_penalty"),
    }


def test_tensorrt_llm_gets_a_tensor_per_option_and_row() -> None:
    batched = model(
        {
            "text_input": ("BYTES", (-1, 1)),
            "max_tokens": ("INT32", (-1, 1)),
            "temperature": ("FP32", (-1, 1)),
            "stop_words": ("BYTES", (-1, -1)),
            "random_seed": ("UINT64", (-1, 1)),
        }
    )
    assert lists(text_inputs(batched, ["a", "b"], GREEDY)) == {
        "text_input": ("BYTES", [[b"a"], [b"b"]]),
        "max_tokens": ("INT32", [[5], [5]]),
        "temperature": ("FP32", [[0.0], [0.0]]),
        "stop_words": ("BYTES", [[b"\n", b"Q:"]] * 2),
        "random_seed": ("UINT64", [[7], [7]]),
    }
    absent = text_inputs(batched, ["a"], Sampling())
    assert "stop_words" not in absent and "random_seed" not in absent
    assert text_parameters(batched, GREEDY) == {}


@pytest.mark.parametrize("decoupled", [True, False])
def test_only_a_decoupled_model_is_asked_to_stream(decoupled: bool) -> None:
    """TensorRT-LLM refuses to stream for any other."""
    inputs = {"text_input": ("BYTES", (-1, 1)), "stream": ("BOOL", (-1, 1))}
    tensors = lists(text_inputs(model(inputs, decoupled=decoupled), ["a"], GREEDY))
    assert tensors["stream"] == ("BOOL", [[decoupled]])


def test_a_model_without_options_gets_them_as_parameters_none_a_float() -> None:
    plain = model({"text_input": ("BYTES", (-1,))})
    assert lists(text_inputs(plain, ["a", "b"], GREEDY)) == {"text_input": ("BYTES", [b"a", b"b"])}
    assert text_parameters(plain, GREEDY) == {
        **{"max_tokens": 5, "temperature": "0.0", "top_p": "0.8", "repetition_penalty": "1.05"},
        **{"stop": '["\\n", "Q:"]', "seed": 7},
    }


def test_a_model_of_single_queries_gets_them_one_by_one() -> None:
    assert takes_rows(model({"text_input": ("BYTES", (-1,))}))
    assert takes_rows(model({"text_input": ("BYTES", (-1, 1))}))
    assert not takes_rows(model({"text_input": ("BYTES", (1,))}))
    assert not takes_rows(model({"text_input": ("BYTES", (-1,))}, decoupled=True))


def test_a_model_of_other_tensors_is_named_with_what_it_has() -> None:
    with pytest.raises(InvalidRequest, match=r"'m' takes IMAGE FP32 \[-1, 784\] and gives text_"):
        check_text(model({"IMAGE": ("FP32", (-1, 784))}))
    numbers = TritonModel("m", {"text_input": TensorType("text_input", "BYTES", (-1,))}, {})
    with pytest.raises(UpstreamError, match="gives nothing"):
        check_text(numbers)


def part(text: str, tokens: int | None = None, **others: Any) -> Tensors:
    tensors = {"text_output": Tensor.of(np.array([text.encode()], dtype=np.object_))}
    if tokens is not None:
        tensors["num_output_tokens"] = Tensor.of(np.array([tokens], dtype=np.uint32))
    for name, value in others.items():
        tensors[name] = Tensor.of(np.array(value))
    return tensors


def test_parts_become_one_answer_with_the_times_of_its_tokens() -> None:
    streamed = StreamedAnswer(10.0, streamed=True)
    streamed.add(part("two words", 2, num_input_tokens=np.uint32(9)), 10.5)
    streamed.add(part(" three", 1, num_input_tokens=np.uint32(9)), 10.75)
    streamed.add(part(" five so", 2, num_input_tokens=np.uint32(9)), 11.25)
    answer = streamed.answer("m")
    assert answer.text == "two words three five so"
    assert (answer.prompt_tokens, answer.completion_tokens) == (9, 5)
    assert answer.time_to_first_token == 0.5
    assert answer.inter_token_latency == 0.25  # 3 tokens in 0.75 s after the first response
    assert answer.served_by == "m"
    assert answer.mean_logprob is None


def test_half_a_character_waits_for_its_other_half() -> None:
    whole = "ü".encode()
    streamed = StreamedAnswer(0.0, streamed=True)
    for half in (whole[:1], whole[1:]):
        streamed.add({"text_output": Tensor.of(np.array([half], dtype=np.object_))}, 1.0)
    assert streamed.answer("m").text == "ü"


def test_what_was_not_streamed_or_counted_has_no_times() -> None:
    at_once = StreamedAnswer(0.0, streamed=False)
    at_once.add(part("all of it", 3), 9.0)
    assert at_once.answer("m").time_to_first_token is None
    assert at_once.answer("m").inter_token_latency is None
    uncounted = StreamedAnswer(0.0, streamed=True)
    uncounted.add(part("a"), 1.0)
    uncounted.add(part("b"), 2.0)
    assert uncounted.answer("m").time_to_first_token == 1.0
    assert uncounted.answer("m").completion_tokens is None
    assert uncounted.answer("m").inter_token_latency is None


def logprobs(*tokens: dict[str, float]) -> np.ndarray:
    entries = [{k: {"logprob": v, "rank": 1} for k, v in token.items()} for token in tokens]
    return np.array([json.dumps(entries).encode()], dtype=np.object_)


def test_log_probabilities_are_those_of_the_sampled_tokens_margins_of_the_likeliest() -> None:
    streamed = StreamedAnswer(0.0, streamed=True)
    first = logprobs({"7": np.log(0.25), "3": np.log(0.5), "7b": np.log(0.125)})
    streamed.add(part("a", 1, logprobs=first), 1.0)
    streamed.add(part("b", 1, logprobs=logprobs({"1": 0.0, "2": np.log(0.5)})), 1.0)
    answer = streamed.answer("m")
    assert answer.mean_logprob == pytest.approx(np.log(0.25) / 2)
    assert answer.min_logprob == pytest.approx(np.log(0.25))
    assert answer.mean_margin == pytest.approx((0.25 + 0.5) / 2)


def test_a_tie_counts_as_a_margin_of_nothing() -> None:
    streamed = StreamedAnswer(0.0, streamed=True)
    tie = {"7": np.log(0.5), "3": np.log(0.5)}
    sure = {"1": np.log(0.99), "2": np.log(0.005)}
    streamed.add(part("ab", 2, logprobs=logprobs(tie, sure)), 1.0)
    assert streamed.answer("m").mean_margin == pytest.approx(0.985 / 2)


def test_telemetry_of_some_tokens_is_not_that_of_the_answer() -> None:
    streamed = StreamedAnswer(0.0, streamed=True)
    alone, two = {"7": -0.5}, {"1": -0.25, "2": -2.0}
    streamed.add(part("ab", 2, logprobs=logprobs(alone, two)), 1.0)
    answer = streamed.answer("m")
    assert (answer.mean_logprob, answer.min_logprob) == (-0.375, -0.5)
    assert answer.mean_margin is None
    streamed.add(part("c", 1), 2.0)
    assert streamed.answer("m").mean_logprob is None


@pytest.mark.parametrize("odd", [-np.inf, np.inf, np.nan, 1000.0])
def test_a_sampled_token_without_a_log_probability_leaves_telemetry_out(odd: float) -> None:
    streamed = StreamedAnswer(0.0, streamed=True)
    streamed.add(part("ab", 2, logprobs=logprobs({"7": odd, "3": -1.0}, {"1": -1.0})), 1.0)
    answer = streamed.answer("m")
    assert answer.mean_logprob is answer.min_logprob is answer.mean_margin is None


@pytest.mark.parametrize(("other", "margin"), [(-np.inf, 0.5), (np.nan, None), (1000.0, None)])
def test_an_alternative_that_is_impossible_is_one_and_an_odd_one_is_none(
    other: float, margin: float | None
) -> None:
    streamed = StreamedAnswer(0.0, streamed=True)
    streamed.add(part("a", 1, logprobs=logprobs({"7": np.log(0.5), "3": other})), 1.0)
    answer = streamed.answer("m")
    assert answer.mean_logprob == pytest.approx(np.log(0.5))
    assert answer.mean_margin == (None if margin is None else pytest.approx(margin))


def test_counts_that_are_no_whole_numbers_are_left_out() -> None:
    streamed = StreamedAnswer(0.0, streamed=True)
    streamed.add(part("a", num_output_tokens=np.nan, num_input_tokens=[b"x"]), 1.0)
    answer = streamed.answer("m")
    assert answer.completion_tokens is answer.prompt_tokens is None


def test_telemetry_that_its_tensor_can_not_hold_is_left_out() -> None:
    tensors = {
        "text_output": Tensor.of(np.array([b"a"], dtype=np.object_)),
        "completion_tokens": Tensor.of(np.array([10**12])),
        "mean_logprob": Tensor.of(np.array([-1e300])),
    }
    assert row_answers(tensors, 1, "m") == [Answer("a", served_by="m")]
    streamed = StreamedAnswer(0.0, streamed=True)
    streamed.add(part("a", num_input_tokens=10**12), 1.0)
    assert streamed.answer("m").prompt_tokens is None


def test_without_log_probabilities_the_answer_has_none() -> None:
    streamed = StreamedAnswer(0.0, streamed=True)
    streamed.add(part("a", 1, logprobs=np.array([b"null"], dtype=np.object_)), 1.0)
    answer = streamed.answer("m")
    assert answer.mean_logprob is answer.min_logprob is answer.mean_margin is None


@pytest.mark.parametrize(
    "broken",
    [b"{", b"7", b'[{"1": 3}]', b"[{}]", b'["a"]', b'[{"1": {"logprob": 1' + b"0" * 400 + b"}}]"],
)
def test_log_probabilities_that_can_not_be_read_are_the_far_sides_fault(broken: bytes) -> None:
    streamed = StreamedAnswer(0.0, streamed=True)
    response = part("a", 1, logprobs=np.array([broken], dtype=np.object_))
    with pytest.raises(UpstreamError, match="'logprobs' can't be read"):
        streamed.add(response, 1.0)


def test_a_stream_that_is_no_answer_is_the_far_sides_fault() -> None:
    with pytest.raises(UpstreamError, match="without a response"):
        StreamedAnswer(0.0, streamed=True).answer("m")
    with pytest.raises(UpstreamError, match="no 'text_output', but other"):
        StreamedAnswer(0.0, streamed=True).add({"other": Tensor.of(np.zeros(1))}, 1.0)
    for text, fault in ((b"\xff", "not UTF-8"), ("ü".encode()[:1], "ends within a character")):
        broken = StreamedAnswer(0.0, streamed=True)
        broken.add({"text_output": Tensor.of(np.array([text], dtype=np.object_))}, 1.0)
        with pytest.raises(UpstreamError, match=fault):
            broken.answer("m")


def test_rows_keep_the_telemetry_that_the_model_gives_by_the_contracts_names() -> None:
    texts = Tensor.of(np.array([[b"a"], [b"b"]], dtype=np.object_))
    first, second = row_answers(
        {
            "text_output": texts,
            "completion_tokens": Tensor.of(np.array([1, 2], np.uint32)),
            "mean_logprob": Tensor.of(np.array([-0.5, -1.0], np.float32)),
            "min_logprob": Tensor.of(np.zeros(1)),  # not one per row: left out
        },
        2,
        "m",
    )
    assert (first.text, first.completion_tokens, first.mean_logprob) == ("a", 1, -0.5)
    assert (second.text, second.completion_tokens, second.min_logprob) == ("b", 2, None)
    with pytest.raises(UpstreamError, match="2 answers to 3 queries"):
        row_answers({"text_output": texts}, 3, "m")


def test_telemetry_that_is_no_finite_number_is_left_out_row_by_row() -> None:
    texts = Tensor.of(np.array([[b"a"], [b"b"]], dtype=np.object_))
    first, second = row_answers(
        {
            "text_output": texts,
            "completion_tokens": Tensor.of(np.array([np.nan, 2])),
            "mean_logprob": Tensor.of(np.array([-0.5, -np.inf], np.float32)),
            "min_logprob": Tensor.of(np.array([b"x", b"y"], dtype=np.object_)),
        },
        2,
        "m",
    )
    assert (first.completion_tokens, first.mean_logprob) == (None, -0.5)
    assert (second.completion_tokens, second.mean_logprob) == (2, None)
    assert first.min_logprob is second.min_logprob is None


@pytest.mark.parametrize(
    ("option", "datatype", "sampling"),
    [
        ("random_seed", "INT32", Sampling(seed=2**40)),
        ("seed", "UINT8", Sampling(seed=256)),
        ("max_tokens", "INT8", Sampling(max_tokens=512)),
        ("max_tokens", "FP16", Sampling(max_tokens=100_000)),
        ("top_p", "FP16", Sampling(top_p=1e-300)),
        ("temperature", "INT32", Sampling(temperature=0.5)),
        ("stop_words", "FP32", Sampling(stop=("x",))),
    ],
)
def test_an_option_that_the_models_datatype_cannot_hold_is_refused(
    option: str, datatype: str, sampling: Sampling
) -> None:
    declared = model({"text_input": ("BYTES", (-1, 1)), option: (datatype, (-1, 1))})
    with pytest.raises(InvalidRequest, match=f"{option} .* takes it as {datatype}, which can't"):
        text_inputs(declared, ["a"], sampling)


def test_small_numbers_that_it_can_hold_are_sent() -> None:
    declared = model(
        {
            "text_input": ("BYTES", (-1, 1)),
            "temperature": ("FP16", (-1, 1)),
            "top_p": ("FP32", (-1, 1)),
            "random_seed": ("UINT64", (-1, 1)),
        }
    )
    sampling = Sampling(temperature=1e-5, top_p=1e-300, seed=2**63 - 1)
    sent = lists(text_inputs(declared, ["a"], sampling))
    assert sent["temperature"][1][0][0] == pytest.approx(1e-5, rel=0.01)
    assert sent["top_p"][1][0][0] > 0
    assert sent["random_seed"] == ("UINT64", [[2**63 - 1]])
