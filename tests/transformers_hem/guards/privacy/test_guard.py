"""The guard looks at all of a request, and what it can't look at stays at the edge."""

import gc
import logging
from typing import Any

import numpy as np
import pytest

from tests.transformers_hem.guards.test_guards import SendsPrivately, decided
from transformers_hem.algorithms.base import Batch, Leaving, Route
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.guard import PrivacyGuard
from transformers_hem.guards.settings import load_guard
from transformers_hem.serving.leaving import leaving_chat

SECRET = "anna@example.com"
GUARD = PrivacyGuard(PrivacyParameters())


def route(content: Any, guard: PrivacyGuard = GUARD) -> Route | None:
    return guard.route(Batch(1, ("hello",), leaving=Leaving(content)))


def messages(*messages: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"model": "qa", "messages": [*messages, {"role": "user", "content": "hi"}], **fields}


CALL = {
    "id": "c",
    "type": "function",
    "function": {"name": "f", "arguments": f'{{"to": "{SECRET}"}}'},
}
ESCAPED = {"name": "f", "arguments": '{"to": "anna\\u0040example.com"}'}
PLACES: dict[str, dict[str, Any]] = {
    "system": messages({"role": "system", "content": f"You serve {SECRET}"}),
    "history": messages({"role": "assistant", "content": f"As {SECRET} said"}),
    "a part": messages({"role": "user", "content": [{"type": "text", "text": SECRET}]}),
    "two parts": messages(
        {"role": "user", "content": [{"type": "text", "text": t} for t in ("anna@exa", "mple.com")]}
    ),
    "tool arguments": messages({"role": "assistant", "tool_calls": [CALL]}),
    "escapes in tool arguments": messages(
        {"role": "assistant", "tool_calls": [{"id": "c", "function": ESCAPED}]}
    ),
    "a tool's result": messages({"role": "tool", "tool_call_id": "c", "content": SECRET}),
    "a tool": messages(tools=[{"function": {"name": "f", "description": f"asks {SECRET}"}}]),
    "a name of a field": messages(tools=[{"function": {"parameters": {SECRET: {}}}}]),
    "a file's name": messages(
        {"role": "user", "content": [{"type": "text", "text": "x", "filename": f"{SECRET}.pdf"}]}
    ),
    "the user": messages(user=SECRET),
    "a prompt": {"prompt": ["a", SECRET]},
    "a number": messages(tools=[{"example": 4111111111111111}]),
    "V2 parameters": {"parameters": {"stop": f'["{SECRET}"]'}},
    "bytes": {"data": np.array([SECRET.encode()], dtype=object)},
}


@pytest.mark.parametrize("place", PLACES)
def test_whatever_would_leave_is_looked_at(place: str) -> None:
    assert route(PLACES[place]) == "edge"


def test_what_is_not_private_is_left_to_others() -> None:
    assert route(messages(temperature=0.5, tools=[], user="u-1")) is None
    assert GUARD.route(Batch(1, ("What is 2 + 3?",))) is None
    assert GUARD.route(Batch(1, (f"mail {SECRET}",))) == "edge"


@pytest.mark.parametrize(
    "content",
    [
        messages({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}),
        messages({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}),
        messages({"role": "user", "content": [{"type": "new"}]}),
        messages({"role": "assistant", "content": "x", "audio": {"id": "a"}}),
        {"prompt": [1, 2, 3]},
        {"prompt": [[1, 2], [3]]},
        {"data": np.zeros((2, 2))},
        {"data": b"\xff\xfe"},
        {"data": object()},
    ],
)
def test_what_is_no_text_stays_at_the_edge(content: Any) -> None:
    assert route(content) == "edge"


def test_what_takes_too_long_or_is_too_long_stays_at_the_edge() -> None:
    assert route("+49 30 1234567", PrivacyGuard(PrivacyParameters(seconds=1e-9))) == "edge"
    assert route("x" * 11, PrivacyGuard(PrivacyParameters(longest=10))) == "edge"
    assert route("x" * 10, PrivacyGuard(PrivacyParameters(longest=10))) is None


class Breaks(dict[str, Any]):
    def items(self) -> Any:
        raise RuntimeError(SECRET)


def test_a_failure_stays_at_the_edge_and_its_message_out_of_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, "kserve.hem"):
        assert route(Breaks(a=1)) == "edge"
        assert route(f"to {SECRET}") == "edge"
    assert "RuntimeError" in caplog.text and "email" in caplog.text
    assert SECRET not in caplog.text


class Raises(SendsPrivately):
    def route(self, batch: Batch) -> Route | None:
        raise ValueError(SECRET)


def test_any_guard_of_privacy_that_raises_keeps_the_request_at_the_edge(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert decided("cloud", secret=Raises(None)) == ("edge", "secret")
    assert SECRET not in caplog.text


def test_a_request_is_looked_at_once_and_then_forgotten() -> None:
    class Counted(PrivacyGuard):
        looked = 0

        def _looked(self, leaving: Leaving) -> Any:
            self.looked += 1
            return super()._looked(leaving)

    guard = Counted(PrivacyParameters())
    leaving = Leaving(SECRET)
    assert [guard.route(Batch(1, leaving=leaving)) for _ in range(3)] == ["edge"] * 3
    assert guard.looked == 1 and len(guard._known) == 1
    del leaving
    gc.collect()
    assert len(guard._known) == 0


def test_headers_that_go_on_are_looked_at_but_for_ids_that_programs_make() -> None:
    made = {"x-request-id": "4111111111111111", "authorization": SECRET}
    assert route(leaving_chat({}, made).content) is None
    assert route(leaving_chat({}, {"X-Request-Id": SECRET}).content) == "edge"


def test_parameters_come_as_those_of_the_other_guards() -> None:
    guard = load_guard("PrivacyGuard", {"kinds": "card", "seconds": "2"})
    assert guard.route(Batch(1, (SECRET,))) is None
    assert guard.route(Batch(1, ("4111 1111 1111 1111",))) == "edge"
