"""Chat and completion requests as queries: nothing is ignored, and what is wrong is named."""

from dataclasses import replace
from typing import Any

import pytest

from predictors.contract import Sampling
from predictors.contract.openai.errors import InvalidField, error_body
from predictors.contract.openai.requests import ChatRequest, CompletionRequest
from predictors.errors import HEMError, InvalidRequest

DEFAULTS = Sampling(max_tokens=64, temperature=0.3, repetition_penalty=1.2, seed=5)
USER = {"role": "user", "content": "hello"}


def chat(**fields: Any) -> Any:
    return ChatRequest.parse({"model": "m", "messages": [USER], **fields})


def completion(**fields: Any) -> Any:
    return CompletionRequest.parse({"model": "m", "prompt": "hello", **fields})


def test_what_is_absent_or_null_is_as_the_predictor_says() -> None:
    fields = ("max_tokens", "temperature", "top_p", "stop", "seed", "n", "logprobs", "tools")
    for request in (chat(), chat(**dict.fromkeys(fields))):
        (query,) = request.queries(DEFAULTS)
        assert query.sampling == DEFAULTS
        assert (query.text, query.messages, query.top_logprobs) == ("hello", (), None)


def test_sampling_is_read() -> None:
    (query,) = chat(
        max_completion_tokens=7,
        temperature=0,
        top_p=0.5,
        stop=["a", "b"],
        seed=-1,
        presence_penalty=1.5,
        frequency_penalty=-0.5,
    ).queries(DEFAULTS)
    sampling = query.sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (7, 0.0, 0.5)
    assert (sampling.stop, sampling.seed) == (("a", "b"), 2**63 - 1)
    assert (sampling.presence_penalty, sampling.frequency_penalty) == (1.5, -0.5)
    assert sampling.repetition_penalty == DEFAULTS.repetition_penalty


def test_a_stop_string_is_taken_as_it_is() -> None:
    assert chat(stop='["x"]').queries(DEFAULTS)[0].sampling.stop == ('["x"]',)


def test_an_empty_list_of_stop_strings_is_none_whatever_the_predictor_has() -> None:
    defaults = replace(DEFAULTS, stop=("x",))
    told = [chat(**fields).queries(defaults)[0] for fields in ({}, {"stop": None}, {"stop": []})]
    assert [query.sampling.stop for query in told] == [("x",), ("x",), ()]


def test_choices_are_queries_whose_seeds_count_up() -> None:
    seeds = [query.sampling.seed for query in chat(n=3, seed=7).queries(Sampling())]
    assert seeds == [7, 8, 9]
    assert len(chat(n=3).queries(Sampling())) == 3


def test_options_that_ask_for_nothing_are_none() -> None:
    (query,) = chat(tools=[], tool_choice="auto", response_format={"type": "text"}).queries(
        DEFAULTS
    )
    assert query.options == {}
    tools = [{"type": "function", "function": {"name": "f"}}]
    (query,) = chat(tools=tools, tool_choice="none").queries(DEFAULTS)
    assert query.options == {"tools": tools, "tool_choice": "none"}


BEGUN = {"role": "assistant", "content": "Hel"}


@pytest.mark.parametrize("also", [{}, {"add_generation_prompt": False}])
def test_an_assistants_last_message_goes_on_where_that_is_asked_for(also: dict[str, Any]) -> None:
    fields: dict[str, Any] = {"messages": [USER, BEGUN], "continue_final_message": True, **also}
    (query,) = chat(**fields).queries(DEFAULTS)
    assert (query.text, query.continues, query.begun) == ("hello", True, "Hel")
    assert [message.content for message in query.asked] == ["hello"]
    assert query.options == {}


@pytest.mark.parametrize("continues", [None, False])
@pytest.mark.parametrize("begins", [None, True])
def test_without_that_it_is_a_message_as_any_other(
    continues: bool | None, begins: bool | None
) -> None:
    ends = {"continue_final_message": continues, "add_generation_prompt": begins}
    (query,) = chat(messages=[USER, BEGUN], **ends).queries(DEFAULTS)
    (plain,) = chat(messages=[USER, BEGUN]).queries(DEFAULTS)
    assert query == plain
    assert (query.continues, query.begun, query.asked) == (False, "", query.messages)


def test_prompts_of_all_four_kinds() -> None:
    prompts: list[tuple[Any, list[tuple[str, tuple[int, ...]]]]] = [
        ("a", [("a", ())]),
        (["a", "b"], [("a", ()), ("b", ())]),
        ([1, 2], [("", (1, 2))]),
        ([[1], [2, 3]], [("", (1,)), ("", (2, 3))]),
    ]
    for prompt, expected in prompts:
        queries = completion(prompt=prompt).queries(DEFAULTS)
        assert [(query.text, query.tokens) for query in queries] == expected
        assert all(query.raw for query in queries)


ON: dict[str, Any] = {"messages": [USER, BEGUN], "continue_final_message": True}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": "Hel", "tool_calls": [CALL]}
TOOL_LESS_CHATS: dict[str, tuple[dict[str, Any], str]] = {
    "no model": ({"model": None}, "model"),
    "a model that is a number": ({"model": 3}, "model"),
    "an unknown field": ({"colour": "red"}, "colour"),
    "frequency as repetition": ({"repetition_penalty": 0}, "repetition_penalty"),
    "hot": ({"temperature": 2.1}, "temperature"),
    "cold": ({"temperature": -1}, "temperature"),
    "a temperature that is text": ({"temperature": "0"}, "temperature"),
    "a temperature that is true": ({"temperature": True}, "temperature"),
    "infinite": ({"temperature": float("inf")}, "temperature"),
    "top_p": ({"top_p": 1.5}, "top_p"),
    "no tokens": ({"max_tokens": 0}, "max_tokens"),
    "half a token": ({"max_tokens": 1.5}, "max_tokens"),
    "tokens that are text": ({"max_tokens": "3"}, "max_tokens"),
    "two limits": ({"max_tokens": 3, "max_completion_tokens": 4}, "max_tokens"),
    "no choice": ({"n": 0}, "n"),
    "too many choices": ({"n": 129}, "n"),
    "choices that are text": ({"n": "2"}, "n"),
    "a penalty too large": ({"presence_penalty": 2.5}, "presence_penalty"),
    "a penalty that is text": ({"frequency_penalty": "1"}, "frequency_penalty"),
    "a stop that is a number": ({"stop": 3}, "stop"),
    "a stop of numbers": ({"stop": [3]}, "stop[0]"),
    "an empty stop": ({"stop": [""]}, "stop"),
    "many stops": ({"stop": [str(i) for i in range(17)]}, "stop"),
    "a seed that is text": ({"seed": "1"}, "seed"),
    "a stream that is text": ({"stream": "true"}, "stream"),
    "options without a stream": ({"stream_options": {"include_usage": True}}, "stream_options"),
    "an unknown option of streams": (
        {"stream": True, "stream_options": {"x": 1}},
        "stream_options.x",
    ),
    "alternatives alone": ({"top_logprobs": 2}, "top_logprobs"),
    "too many alternatives": ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
    "a bias that is a list": ({"logit_bias": [1]}, "logit_bias"),
    "tools that are an object": ({"tools": {}}, "tools"),
    "storing": ({"store": True}, "store"),
    "no messages": ({"messages": []}, "messages"),
    "goes on and begins": (ON | {"add_generation_prompt": True}, "add_generation_prompt"),
    "neither goes on nor begins": ({"add_generation_prompt": False}, "add_generation_prompt"),
    "a user's message goes on": (ON | {"messages": [USER]}, "continue_final_message"),
    "a call goes on": (ON | {"messages": [USER, CALLING]}, "continue_final_message"),
    "half an object": (
        ON | {"response_format": {"type": "json_object"}},
        "continue_final_message",
    ),
    "goes on as text": (ON | {"continue_final_message": "true"}, "continue_final_message"),
}


@pytest.mark.parametrize(("fields", "param"), TOOL_LESS_CHATS.values(), ids=TOOL_LESS_CHATS)
def test_a_chat_that_is_wrong_says_where(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        chat(**fields).queries(DEFAULTS)
    assert refused.value.param == param
    assert error_body(refused.value)["error"]["param"] == param


COMPLETIONS: dict[str, tuple[dict[str, Any], str]] = {
    "no prompt": ({"prompt": None}, "prompt"),
    "an empty prompt": ({"prompt": ""}, "prompt"),
    "no prompts": ({"prompt": []}, "prompt"),
    "an empty one": ({"prompt": ["a", ""]}, "prompt[1]"),
    "an object": ({"prompt": {"a": 1}}, "prompt"),
    "a token below 0": ({"prompt": [5, -1]}, "prompt[1]"),
    "a token that no tokenizer has": ({"prompt": [[5, 2**31]]}, "prompt[0][1]"),
    "messages": ({"messages": []}, "messages"),
    "a suffix": ({"suffix": "x"}, "suffix"),
    "an echo that is text": ({"echo": "true"}, "echo"),
    "no tokens, and no echo": ({"max_tokens": 0}, "max_tokens"),
    "fewer tokens than none": ({"max_tokens": -1, "echo": True}, "max_tokens"),
    "the best of more": ({"best_of": 3}, "best_of"),
    "logprobs as in chats": ({"logprobs": True}, "logprobs"),
}


@pytest.mark.parametrize(("fields", "param"), COMPLETIONS.values(), ids=COMPLETIONS)
def test_a_completion_that_is_wrong_says_where(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        completion(**fields).queries(DEFAULTS)
    assert refused.value.param == param


@pytest.mark.parametrize("body", [None, [], "x", 3])
def test_a_body_that_is_no_object(body: Any) -> None:
    with pytest.raises(InvalidRequest):
        ChatRequest.parse(body)


def test_errors_have_openais_shape() -> None:
    body = error_body(HEMError("broken"))
    assert body == {
        "error": {"message": "broken", "type": "server_error", "param": None, "code": None}
    }
