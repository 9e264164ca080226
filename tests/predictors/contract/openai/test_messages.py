"""The conversation in a chat request: what is taken, and what is refused by its path."""

from typing import Any

import pytest

from predictors.contract import Message
from predictors.contract.openai.errors import InvalidField
from predictors.contract.openai.messages import last_query, parse_messages

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
ASKED = {"role": "user", "content": "what is it?"}
CALLED = {"role": "assistant", "content": None, "tool_calls": [CALL]}
TOLD = {"role": "tool", "content": "21", "tool_call_id": "c1"}


def test_roles_names_and_tools_are_kept() -> None:
    system = {"role": "system", "content": "Be brief.", "name": "site"}
    parsed = parse_messages([system, ASKED, CALLED, TOLD])
    assert parsed == (
        Message("system", "Be brief.", {"name": "site"}),
        Message("user", "what is it?"),
        Message("assistant", "", {"tool_calls": [CALL]}),
        Message("tool", "21", {"tool_call_id": "c1"}),
    )
    assert last_query(parsed) == "what is it?"


def test_parts_that_are_text_are_one_text() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert parse_messages([{"role": "user", "content": parts}])[0].content == "ab"


def test_what_a_client_sends_back_of_an_answer_is_taken() -> None:
    answer = {
        "role": "assistant",
        "content": "x",
        "refusal": None,
        "annotations": [],
        "audio": None,
    }
    assert parse_messages([ASKED, answer, ASKED])[1].content == "x"


IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}
WRONG: dict[str, tuple[Any, str]] = {
    "no list": ("hello", "messages"),
    "an object": ({"role": "user"}, "messages"),
    "nothing": (None, "messages"),
    "empty": ([], "messages"),
    "a string": (["hello"], "messages[0]"),
    "a null": ([None], "messages[0]"),
    "no role": ([{"content": "x"}], "messages[0].role"),
    "an unknown role": ([{"role": "human", "content": "x"}], "messages[0].role"),
    "a role that is a list": ([{"role": ["user"], "content": "x"}], "messages[0].role"),
    "no content": ([{"role": "user"}], "messages[0].content"),
    "a null content": ([{"role": "user", "content": None}], "messages[0].content"),
    "a number": ([{"role": "user", "content": 3}], "messages[0].content"),
    "an object as content": ([{"role": "user", "content": {"text": "x"}}], "messages[0].content"),
    "a part that is a string": ([{"role": "user", "content": ["x"]}], "messages[0].content[0]"),
    "a part without a type": ([{"role": "user", "content": [{}]}], "messages[0].content[0]"),
    "a part of null": (
        [{"role": "user", "content": [{"type": "text", "text": None}]}],
        "messages[0].content[0].text",
    ),
    "an image": ([{"role": "user", "content": [IMAGE]}], "messages[0].content[0].type"),
    "half a surrogate": ([{"role": "user", "content": "\ud83d"}], "messages[0].content"),
    "an unknown field": ([{**ASKED, "colour": "red"}], "messages[0].colour"),
    "a name that is a number": ([{**ASKED, "name": 3}], "messages[0].name"),
    "a user's tool calls": ([{**ASKED, "tool_calls": [CALL]}], "messages[0].tool_calls"),
    "no tool calls": ([ASKED, {**CALLED, "tool_calls": []}], "messages[1].tool_calls"),
    "a call without a function": (
        [ASKED, {**CALLED, "tool_calls": [{"id": "c"}]}],
        "messages[1].tool_calls[0].function",
    ),
    "arguments that are an object": (
        [ASKED, {**CALLED, "tool_calls": [{**CALL, "function": {"name": "f", "arguments": {}}}]}],
        "messages[1].tool_calls[0].function.arguments",
    ),
    "a tool that nobody called": ([ASKED, TOLD], "messages[1].role"),
    "a tool first": ([TOLD], "messages[0].role"),
    "a tool without its call": (
        [ASKED, CALLED, {"role": "tool", "content": "1"}],
        "messages[2].tool_call_id",
    ),
}


@pytest.mark.parametrize(("messages", "param"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(messages: Any, param: str) -> None:
    with pytest.raises(InvalidField) as refused:
        parse_messages(messages)
    assert refused.value.param == param
    assert param.split("[")[0] in str(refused.value)


def test_a_gateway_reads_the_texts_beside_an_image() -> None:
    content = [{"type": "text", "text": "what is this?"}, IMAGE]
    (message,) = parse_messages([{"role": "user", "content": content}], text_alone=False)
    assert message.content == "what is this?"
