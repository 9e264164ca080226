"""Wherever something private stands in a request, it leaves as a placeholder, or not at all."""

import base64
import json
from typing import Any

import pytest

from tests.transformers_hem.guards.privacy.test_guard import messages
from transformers_hem.algorithms.base import Batch, Leaving
from transformers_hem.guards.base import Redacted
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.guard import PrivacyGuard
from transformers_hem.serving.leaving import leaving_chat

EMAIL = "anna@example.com"
CARD = "4111 1111 1111 1111"
GUARD = PrivacyGuard(PrivacyParameters(action="redact"))


def redacted(
    body: dict[str, Any], headers: dict[str, str] | None = None, guard: PrivacyGuard = GUARD
) -> Redacted | None:
    """None where the guard keeps it."""
    leaving = leaving_chat(body, headers or {})
    if guard.route(Batch(1, ("x",), leaving=leaving)) == "edge":
        return None
    found = guard.redacted(leaving)
    assert found is not None
    return found


def leaves(body: dict[str, Any]) -> Any:
    found = redacted(body)
    assert found is not None
    return found.body


def call(arguments: str, **about: Any) -> dict[str, Any]:
    function = {"name": "send", "arguments": arguments}
    return {"role": "assistant", "tool_calls": [{"id": "c", "function": function, **about}]}


def arguments_of(body: Any) -> Any:
    return json.loads(body["messages"][0]["tool_calls"][0]["function"]["arguments"])


PLACES: dict[str, dict[str, Any]] = {
    "the question": {"messages": [{"role": "user", "content": f"I am {EMAIL}."}]},
    "the system": messages({"role": "system", "content": f"You serve {EMAIL}"}),
    "the history": messages({"role": "assistant", "content": f"As {EMAIL} said"}),
    "a part": messages({"role": "user", "content": [{"type": "text", "text": EMAIL}]}),
    "a tool's result": messages({"role": "tool", "tool_call_id": "c", "content": EMAIL}),
    "a tool": messages(tools=[{"function": {"name": "f", "description": f"asks {EMAIL}"}}]),
    "a name of a field": messages(tools=[{"function": {"parameters": {EMAIL: {}}}}]),
    "the user": messages(user=EMAIL),
    "metadata": messages(metadata={"owner": EMAIL}),
    "a stop": messages(stop=[EMAIL]),
    "a prompt": {"prompt": EMAIL},
    "prompts": {"prompt": ["a", EMAIL]},
}


@pytest.mark.parametrize("place", PLACES)
def test_it_is_replaced_wherever_it_stands_and_nothing_else_is(place: str) -> None:
    before = json.dumps(PLACES[place])
    written = json.dumps(leaves(PLACES[place]))
    assert written == before.replace(EMAIL, "<EMAIL_1>")
    assert json.dumps(PLACES[place]) == before


def test_the_same_item_is_the_same_in_all_messages_and_the_order_tells_the_number() -> None:
    body = leaves(
        {
            "messages": [
                {"role": "user", "content": f"{EMAIL} and b@c.de"},
                {"role": "assistant", "content": f"{CARD}, b@c.de"},
                {"role": "user", "content": EMAIL},
            ]
        }
    )
    said = [each["content"] for each in body["messages"]]
    assert said == ["<EMAIL_1> and <EMAIL_2>", "<CARD_1>, <EMAIL_2>", "<EMAIL_1>"]


def test_an_item_that_is_known_is_replaced_where_nothing_tells_what_it_is() -> None:
    body = leaves(
        messages({"role": "user", "content": "password: hunter2-horse; use hunter2-horse"})
    )
    assert body["messages"][0]["content"] == "password: <SECRET_1>; use <SECRET_1>"


def test_names_have_no_brackets() -> None:
    body = leaves(messages({"role": "user", "name": EMAIL, "content": "hello"}))
    assert body["messages"][0]["name"] == "EMAIL_1"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (f'{{"to": "{EMAIL}"}}', {"to": "<EMAIL_1>"}),
        ('{"to": "anna\\u0040example.com"}', {"to": "<EMAIL_1>"}),
        ('{"card": 4111111111111111, "n": 2}', {"card": "<CARD_1>", "n": 2}),
        (f'{{"{EMAIL}": [1.5, true, null]}}', {"<EMAIL_1>": [1.5, True, None]}),
        ('{"password": "hunter2-horse"}', {"password": "<SECRET_1>"}),
        (json.dumps({"in": json.dumps({"to": EMAIL})}), {"in": '{"to": "<EMAIL_1>"}'}),
        (
            json.dumps({"in": json.dumps({"to": "anna@example.com\n"})}),
            {"in": r'{"to": "<EMAIL_1>\n"}'},
        ),
        (json.dumps({"big": 10**30, "to": "é\\" + EMAIL}), {"big": 10**30, "to": "é\\<EMAIL_1>"}),
    ],
)
def test_json_in_a_string_stays_json(arguments: str, expected: Any) -> None:
    assert arguments_of(leaves(messages(call(arguments)))) == expected


def test_a_secret_of_several_lines_in_json_is_one_item() -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----"
    found = redacted(messages(call(json.dumps({"key": key}))))
    assert found is not None
    assert arguments_of(found.body) == {"key": "<SECRET_1>"}
    assert found.placeholders.put_back("<SECRET_1>") == key
    assert found.placeholders.kinds == {"secret": 1}


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("a\u200bnna@exam\u00adple.com", "EMAIL_1"),
        ("\uff14\uff11\uff11\uff11 1111 1111 1111", "CARD_1"),
        ("4111\u20091111\u20111111\u00a01111", "CARD_1"),
        ("\u0430nna@example.com", "EMAIL_1"),
        ("anna@e\u0301xample.com", "EMAIL_1"),
    ],
)
def test_tricks_of_unicode_go_with_their_item_and_come_back(written: str, name: str) -> None:
    found = redacted(messages({"role": "user", "content": f"see {written}, please"}))
    assert found is not None
    said = found.body["messages"][0]["content"]
    assert said == f"see <{name}>, please"
    assert found.placeholders.put_back(said) == f"see {written}, please"


def test_an_item_that_is_split_over_messages_is_not_found_as_the_docs_say() -> None:
    turns = [{"role": "user", "content": part} for part in ("4111 1111", "1111 1111")]
    leaving = leaving_chat({"messages": turns}, {})
    assert GUARD.route(Batch(1, ("x",), leaving=leaving)) is None
    assert GUARD.redacted(leaving) is None


def test_base64_goes_as_a_whole() -> None:
    hidden = base64.b64encode(f"mail {EMAIL}".encode()).decode()
    body = leaves(messages({"role": "user", "content": f"see {hidden} here"}))
    assert body["messages"][0]["content"] == "see <EMAIL_1> here"


def test_the_texts_own_placeholders_are_not_used() -> None:
    found = redacted(messages({"role": "user", "content": f"<EMAIL_1> is {EMAIL}"}))
    assert found is not None
    said = found.body["messages"][0]["content"]
    assert said == "<EMAIL_1> is <EMAIL_2>"
    assert found.placeholders.put_back(said) == f"<EMAIL_1> is {EMAIL}"


KEPT: dict[str, tuple[dict[str, Any], dict[str, str]]] = {
    "an image beside it": (
        messages({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}),
        {},
    ),
    "a header that goes on": (messages(), {"x-request-id": EMAIL}),
    "a number that is no text": (messages(seed=4111111111111111), {}),
    "an item over two parts": (
        messages(
            {
                "role": "user",
                "content": [{"type": "text", "text": t} for t in ("anna@exa", "mple.com")],
            }
        ),
        {},
    ),
    "a name of a field of the API's": ({"messages": [], EMAIL: 1}, {}),
    "tokens": ({"prompt": [1, 2, 3]}, {}),
}


@pytest.mark.parametrize("what", KEPT)
def test_what_cant_be_redacted_stays_at_the_edge(what: str) -> None:
    body, headers = KEPT[what]
    assert redacted(body, headers) is None


def test_where_nobody_puts_anything_back_it_stays_at_the_edge() -> None:
    """As in V2, and for texts without a request."""
    assert GUARD.route(Batch(1, (EMAIL,))) == "edge"
    assert GUARD.route(Batch(1, ("x",), leaving=Leaving(messages(user=EMAIL)))) == "edge"


def test_what_takes_too_long_or_fails_stays_at_the_edge() -> None:
    body = messages(user=EMAIL)
    slow = PrivacyGuard(PrivacyParameters(action="redact", seconds=1e-9))
    assert redacted(body, guard=slow) is None
    short = PrivacyGuard(PrivacyParameters(action="redact", longest=10))
    assert redacted(body, guard=short) is None


def test_a_conversation_that_was_kept_stays_so() -> None:
    leaving = leaving_chat(messages(), {}, private=True)
    assert GUARD.route(Batch(1, ("x",), leaving=leaving)) == "edge"


def test_what_goes_on_with_a_chat_has_its_placeholders() -> None:
    first = leaving_chat(messages({"role": "user", "content": CARD}, user=EMAIL), {})
    assert GUARD.route(Batch(1, ("x",), leaving=first)) is None
    before = GUARD.redacted(first)
    rest = messages({"role": "user", "content": f"b@c.de {EMAIL}"})
    found = GUARD.redacted(Leaving((rest,), body=rest, before=first))
    assert before is not None and found is not None
    assert before.placeholders is found.placeholders
    assert found.body["messages"][0]["content"] == "<EMAIL_2> <EMAIL_1>"
    clash = messages({"role": "user", "content": f"{EMAIL} <card_1>"})
    leaving = Leaving((clash,), body=clash, before=first)
    assert GUARD.route(Batch(1, ("x",), leaving=leaving)) == "edge"
