"""What one exchange says: tokens, route, first token, or why it is no answer."""

from typing import Any

import orjson
import pytest

from inferencegraph.evaluate.load.answers import read_into
from inferencegraph.evaluate.load.record import Record
from inferencegraph.evaluate.load.target import API
from predictors.errors import Cause
from predictors.upstream.timed import Exchange
from tests.inferencegraph.evaluate.load.served import delta, event, v2

USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
CHAT = {"choices": [{"index": 0, "message": {"content": "4"}, "finish_reason": "stop"}]}
DONE = event("[DONE]")


def record_of(
    parts: list[tuple[float, bytes]], api: API = API.CHAT, status: int = 200, **headers: str
) -> Record:
    named = {name.replace("_", "-").encode(): value.encode() for name, value in headers.items()}
    end = max((at for at, _ in parts), default=1.0)
    made = Record("A", 1, 0, 0, 1.0, 1.0, 1.0, 1.0)
    read_into(made, Exchange(1.0, end, status, named, parts), api)
    return made


def stream(*parts: tuple[float, bytes]) -> Record:
    return record_of(list(parts), content_type="text/event-stream; charset=utf-8")


def whole(body: Any, api: API, **more: Any) -> Record:
    content = body if isinstance(body, bytes) else orjson.dumps(body)
    return record_of([(2.0, content)], api, **more)


def test_a_v2_answer_tells_its_tokens_and_its_route() -> None:
    made = whole(v2(tokens=5, hem_route="edge", cached=True), API.V2)
    assert (made.failure, made.tokens, made.route, made.cached) == (None, 5, "edge", True)


def test_a_v2_answer_without_telemetry_has_no_tokens() -> None:
    made = whole({"outputs": [{"name": "probabilities", "data": [0.1]}]}, API.V2)
    assert (made.failure, made.tokens, made.route) == (None, None, None)


def test_a_mine_step_answers_with_the_annotated_request() -> None:
    body = {"inputs": [], "parameters": {"hem_route": "cloud"}}
    assert whole(body, API.V2).failure is None
    assert whole({"inputs": []}, API.V2).failure == Cause.UNUSABLE


def test_a_graph_that_degraded_says_why() -> None:
    assert whole(v2(), API.V2, hem_failure="503").degraded == "503"


def test_a_completion_tells_its_usage_and_the_gateways_object() -> None:
    hem = {"route": "cloud", "degraded": "timeout"}
    made = whole({**CHAT, "usage": USAGE, "hem": hem}, API.CHAT)
    assert (made.tokens, made.prompt_tokens) == (3, 7)
    assert (made.route, made.degraded) == ("cloud", "timeout")


def test_a_gateways_header_tells_the_route_where_the_body_does_not() -> None:
    assert whole(CHAT, API.CHAT, x_hem_route="edge").route == "edge"


@pytest.mark.parametrize(
    ("body", "api", "status", "failure", "says"),
    [
        ({"error": "no model"}, API.V2, 503, "503", "no model"),
        ({"error": {"message": "too long"}}, API.CHAT, 400, "400", "too long"),
        ({"error": "the edge failed"}, API.V2, 200, "error", "the edge failed"),
        ({"error": {"message": "gone"}}, API.CHAT, 200, "error", "gone"),
        (b"<html>", API.V2, 200, "unusable", "did not answer as v2"),
        ({"choices": []}, API.CHAT, 200, "unusable", "did not answer as chat"),
        ([], API.V2, 200, "unusable", "did not answer as v2"),
    ],
)
def test_what_is_no_answer_is_a_failure(
    body: Any, api: API, status: int, failure: str, says: str
) -> None:
    made = whole(body, api, status=status)
    assert made.failure == failure
    assert says in made.detail


def test_the_first_token_is_the_first_part_with_text() -> None:
    """Not the event that only tells the role."""
    made = stream(
        (1.1, event({"choices": [{"delta": {"role": "assistant", "content": ""}}]})),
        (1.5, delta("a")),
        (1.6, delta("b") + delta("c")),
        (1.9, delta(None, "stop") + DONE),
    )
    assert (made.failure, made.first, made.tokens) == (None, 1.5, 3)
    assert list(made.gaps) == pytest.approx([0.1, 0.0])


def test_an_event_is_there_when_its_last_byte_is() -> None:
    text = delta("a")
    made = stream((1.2, text[:10]), (1.7, text[10:]), (1.8, delta(None, "stop")))
    assert made.first == 1.7


def test_the_servers_own_count_of_tokens_wins() -> None:
    usage = event({"choices": [], "usage": USAGE, "hem": {"route": "edge"}})
    made = stream((1.2, delta("abc")), (1.3, delta(None, "stop")), (1.4, usage + DONE))
    assert (made.tokens, made.prompt_tokens, made.route) == (3, 7, "edge")


@pytest.mark.parametrize(
    ("parts", "failure"),
    [
        ([delta("a")], "unusable"),
        ([delta("a"), event({"error": {"message": "the cloud broke"}})], "error"),
        ([b"data: {\n\n"], "unusable"),
        ([], "unusable"),
    ],
)
def test_a_stream_that_breaks_is_a_failure(parts: list[bytes], failure: str) -> None:
    made = stream(*((1.0 + at, part) for at, part in enumerate(parts)))
    assert made.failure == failure


def test_a_row_leaves_out_what_is_unknown() -> None:
    made = whole(v2(tokens=5), API.V2)
    row = made.row(began=0.5)
    assert (row["intended"], row["end"], row["tokens"]) == (0.5, 1.5, 5)
    assert not {"route", "failure", "first_token", "degraded", "cached"} & row.keys()
