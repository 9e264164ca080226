"""One side answers where the other one fails: before its first token unseen, later by going on."""

import asyncio
import json
import random
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.predictors.upstream.deaf_port import deaf_port
from tests.predictors.upstream.slow_side import head
from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import (
    DONE,
    SSE,
    Body,
    event,
    never,
    refused,
    scripted_side,
    streamed,
    usage,
    whole,
)
from tests.transformers_hem.gateway.test_sticky import Private
from transformers_hem.gateway.hedging import FEWEST, Hedging
from transformers_hem.guards.base import Guard

PATH = "/v1/chat/completions"
ROLE = (
    b'data: {"id": "c", "model": "big", "choices": [{"index": 0, "delta": {"role": "assistant"}}]}'
    b"\n\n"
)
EDGE = streamed("small", "the ", "edge", usage=usage(3, 2))
WORDS = ("one ", "two ", "three ", "four")


def begun(*texts: str, model: str = "big") -> bytes:
    """A stream that has not ended."""
    return head(SSE) + b"".join(event(model, text) for text in texts)


Sent = bytes | tuple[bytes, ...]


def answers(data: Sent) -> Callable[[Body], Sent]:
    return lambda body: data


def events_of(reply: httpx.Response) -> list[dict[str, Any]]:
    lines = [line for line in reply.text.split("\n\n") if line.startswith("data: {")]
    return [json.loads(line[6:]) for line in lines]


def text_of(reply: httpx.Response) -> str:
    parts = (c for each in events_of(reply) for c in each.get("choices", ()))
    return "".join(part["delta"].get("content") or "" for part in parts)


def is_whole(reply: httpx.Response) -> bool:
    ends = [c.get("finish_reason") for each in events_of(reply) for c in each.get("choices", ())]
    return reply.text.endswith(DONE.decode()) and ends.count("stop") == 1 and ends[-1] == "stop"


def broke(reply: httpx.Response) -> str:
    """The error that ends a stream, which is not called whole."""
    assert "[DONE]" not in reply.text
    assert 'finish_reason":"stop' not in reply.text
    return str(events_of(reply)[-1]["error"]["message"])


def hem_of(reply: httpx.Response) -> dict[str, Any]:
    return next(each["hem"] for each in reversed(events_of(reply)) if "hem" in each)


# What a cloud may send, as long as nothing of an answer is among it; and whether it ends then.
NO_ANSWER: dict[str, tuple[bytes, bool]] = {
    "nothing": (b"", False),
    "a head": (head(SSE), False),
    "a role": (head(SSE) + ROLE, False),
    "comments": (head(SSE) + b": ping\n\n: ping\n\n", False),
    "a role, and the end": (head(SSE) + ROLE, True),
    "only [DONE]": (head(SSE) + DONE, True),
    "an error as event": (head(SSE) + b'data: {"error": {"message": "no"}}\n\n', True),
    "no JSON": (head(SSE) + b"data: {oh\n\n", True),
    "the end of a model that gave up": (head(SSE) + event("big", None, "error") + DONE, True),
    "a content filter": (head(SSE) + event("big", None, "content_filter") + DONE, True),
    "a refusal": (refused(400, "no", code="content_filter"), True),
    "too many": (refused(429), True),
    "a failure": (refused(500), True),
    "unavailable": (refused(503), True),
    "a context that is too long": (refused(400, "no", code="context_length_exceeded"), True),
    "the connection's end": (b"", True),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("name", NO_ANSWER)
async def test_the_edge_answers_for_a_cloud_that_has_said_nothing(name: str, stream: bool) -> None:
    data, ends = NO_ANSWER[name]
    edge_answer = EDGE if stream else whole("small", "the edge", usage=usage(3, 2))
    async with (
        scripted_side(answers(edge_answer)) as edge,
        scripted_side(answers(data), ends=lambda _: ends) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, first_token=0.4) as client,
    ):
        headers = {} if stream or ends else {"x-hem-deadline": "0.8"}
        reply = await client.post(PATH, json=chat(stream=stream), headers=headers)
    assert reply.status_code == 200
    assert (len(cloud.asked), len(edge.asked)) == (1, 1)
    hem = hem_of(reply) if stream else reply.json()["hem"]
    assert hem["served_by"] == "small"
    assert hem["degraded"] == reply.headers["x-hem-degraded"]
    assert [each["route"] for each in hem["failed"]] == ["cloud"]
    if stream:
        assert (text_of(reply), is_whole(reply)) == ("the edge", True)


async def test_a_switch_costs_the_time_limit() -> None:
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(head(SSE) + ROLE), ends=never) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, first_token=1.0) as client,
    ):
        await client.post(PATH, json=chat())
        began = time.perf_counter()
        reply = await client.post(PATH, json=chat())
        assert 1.0 <= time.perf_counter() - began < 2.0  # once, though it was so before
    assert (text_of(reply), len(cloud.asked), len(edge.asked)) == ("the edge", 2, 2)


async def test_a_switch_is_unseen_after_comments_too() -> None:
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(head(SSE) + ROLE), ends=never) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, first_token=0.6, patience=0.2) as client,
    ):
        reply = await client.post(PATH, json=chat())
    assert reply.text.startswith(": waiting")
    assert (text_of(reply), is_whole(reply)) == ("the edge", True)
    assert hem_of(reply)["served_by"] == "small"


async def test_where_both_fail_the_clouds_error_is_told() -> None:
    async with (
        scripted_side(answers(refused(500, "edge"))) as edge,
        scripted_side(answers(refused(429, "cloud"))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url) as client,
    ):
        reply = await client.post(PATH, json=chat())
    assert reply.status_code == 503
    assert "cloud" in reply.json()["error"]["message"]


@pytest.mark.parametrize("status", [500, 502, 503, 429])
async def test_who_forces_the_edge_is_told_that_it_is_not_there(status: int) -> None:
    async with (
        scripted_side(answers(refused(status))) as edge,
        scripted_side(answers(EDGE)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url) as client,
    ):
        reply = await client.post(PATH, json=chat(model="qa-edge"))
    assert (reply.status_code, len(cloud.asked)) == (503, 0)


TWO = begun(*WORDS[:2])
BREAKS: dict[str, tuple[Sent, bool]] = {
    "is cut": (TWO, True),
    "stalls": (TWO, False),
    "turns into garbage": ((TWO, b"data: {oh\n\n"), True),
    "tells an error": ((TWO, b'data: {"error": {"message": "no"}}\n\n'), True),
    "gives up": ((TWO, event("big", None, "abort") + DONE), True),
}


async def test_a_stream_that_stalls_is_not_waited_for_as_long_as_a_first_token() -> None:
    async with (
        scripted_side(answers(TWO), ends=never) as cloud,
        gateway(cloud=cloud.url, first_token=5.0, between_tokens=0.3) as client,
    ):
        began = time.perf_counter()
        assert "BETWEEN_TOKENS" in broke(await client.post(PATH, json=chat()))
    assert time.perf_counter() - began < 3.0


@pytest.mark.parametrize("name", BREAKS)
async def test_a_stream_that_breaks_off_ends_with_an_error(name: str) -> None:
    data, ends = BREAKS[name]
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(data), ends=lambda _: ends) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, between_tokens=0.4) as client,
    ):
        reply = await client.post(PATH, json=chat())
    assert broke(reply)
    assert (text_of(reply), edge.asked) == ("one two ", [])


@pytest.mark.parametrize("name", BREAKS)
async def test_the_other_side_goes_on_where_the_caller_asked_for_it(name: str) -> None:
    data, ends = BREAKS[name]
    rest = streamed("small", "three ", "four", usage=usage(9, 2))
    async with (
        scripted_side(answers(rest)) as edge,
        scripted_side(answers(data), ends=lambda _: ends) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, between_tokens=0.4) as client,
    ):
        asked = chat(max_tokens=10, stream_options={"include_usage": True})
        reply = await client.post(PATH, json=asked, headers={"x-hem-on-break": "continue"})
    assert (text_of(reply), is_whole(reply)) == ("".join(WORDS), True)
    assert len({each["id"] for each in events_of(reply)}) == 1
    assert [e["usage"]["total_tokens"] for e in events_of(reply) if e.get("usage")] == [11]
    hem = hem_of(reply)
    assert (hem["continues"], hem["served_by"]) == ("cloud", "small")
    assert hem["failed"][0] | {"why": ""} == {
        "route": "cloud",
        "model": "big",
        "why": "",
        "tokens": 2,
    }
    (body,) = edge.asked
    assert body["messages"][-1] == {"role": "assistant", "content": "one two "}
    assert (body["continue_final_message"], body["add_generation_prompt"]) == (True, False)
    assert body["max_tokens"] == 8


async def test_the_cloud_goes_on_for_the_edge() -> None:
    async with (
        scripted_side(answers(begun(*WORDS[:2], model="small"))) as edge,
        scripted_side(answers(streamed("big", *WORDS[2:]))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, algorithm="EdgeOnly") as client,
    ):
        asked = {"headers": {"x-hem-on-break": "continue"}}
        reply = await client.post(PATH, json=chat(), **asked)
        forced = await client.post(PATH, json=chat(model="qa-edge"), **asked)
    assert (text_of(reply), is_whole(reply)) == ("".join(WORDS), True)
    assert broke(forced)
    assert len(cloud.asked) == 1


def no_prefix(anew: bytes) -> Callable[[Body], bytes]:
    """A server that takes no beginning of an answer."""

    def answer(body: Body) -> bytes:
        if body["messages"][-1]["role"] != "assistant":
            return anew
        return refused(400, "unknown", param="continue_final_message")

    return answer


@pytest.mark.parametrize(
    "texts", [WORDS, ("one two three four",), ("one", " ", "two three ", "four"), (*WORDS, "")]
)
async def test_who_takes_no_beginning_answers_anew_and_the_same_text_is_left_out(
    texts: tuple[str, ...],
) -> None:
    async with (
        scripted_side(no_prefix(streamed("small", *texts))) as edge,
        scripted_side(answers(begun(*WORDS[:2]))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers={"x-hem-on-break": "continue"})
    assert (text_of(reply), is_whole(reply)) == ("".join(WORDS), True)
    assert len(edge.asked) == 2


LONG = ("it is a long answer ", "of several words, ", "which are all ", "its own")


@pytest.mark.parametrize(
    ("texts", "rest"),
    [
        (LONG, "which are all its own"),
        (("".join(LONG),), "which are all its own"),
        (("it ", "".join(LONG)[3:]), "which are all its own"),
        (("it is ", "all that there is to it"), "it is all that there is to it"),
        (("it ", "is"), "it is"),
        (("its own",), "its own"),
    ],
)
async def test_a_server_that_ignores_the_beginning_and_answers_anew_repeats_nothing(
    texts: tuple[str, ...], rest: str
) -> None:
    """And what goes on with the same words as the answer began is not taken for that."""
    async with (
        scripted_side(answers(streamed("small", *texts))) as edge,
        scripted_side(answers(begun(*LONG[:2]))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers={"x-hem-on-break": "continue"})
    said = "".join(LONG[:2])
    assert (text_of(reply), is_whole(reply)) == (said + rest, True)
    assert len(edge.asked) == 1


async def test_a_server_that_answers_anew_and_otherwise_is_not_taken_to_go_on() -> None:
    other = "it is a long answer of several other words"
    async with (
        scripted_side(answers(streamed("small", other))) as edge,
        scripted_side(answers(begun(*LONG[:2]))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers={"x-hem-on-break": "continue"})
    assert "another answer" in broke(reply)


@pytest.mark.parametrize("texts", [("one ", "TWO"), ("one",), ("other",)])
async def test_another_answer_never_goes_on_behind_the_one_that_broke_off(
    texts: tuple[str, ...],
) -> None:
    async with (
        scripted_side(no_prefix(streamed("small", *texts))) as edge,
        scripted_side(answers(begun(*WORDS[:2]))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers={"x-hem-on-break": "continue"})
    assert "another answer" in broke(reply)
    assert text_of(reply) == "one two "


NOT_PLAIN: dict[str, tuple[bytes, Body]] = {
    "several choices": (begun("one "), {"n": 2}),
    "a tool call": (
        head(SSE)
        + b'data: {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0}]}}]}\n\n',
        {},
    ),
    "reasoning": (
        head(SSE) + b'data: {"choices": [{"index": 0, "delta": {"reasoning": "hm"}}]}\n\n',
        {},
    ),
    "a content filter": (begun("one ") + event("big", None, "content_filter") + DONE, {}),
}


@pytest.mark.parametrize("name", NOT_PLAIN)
async def test_nobody_goes_on_behind_more_than_text(name: str) -> None:
    data, fields = NOT_PLAIN[name]
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(data)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url) as client,
    ):
        asked = chat(**fields)
        await client.post(PATH, json=asked, headers={"x-hem-on-break": "continue"})
    assert edge.asked == []


async def test_the_operator_bounds_what_a_caller_may_ask_for() -> None:
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(begun("one "))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, on_break="error") as client,
    ):
        reply = await client.post(PATH, json=chat(), headers={"x-hem-on-break": "continue"})
        wrong = await client.post(PATH, json=chat(), headers={"x-hem-on-break": "retry"})
    assert broke(reply)
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (400, "x-hem-on-break")


async def test_completions_go_on_behind_their_prompt() -> None:
    def part(text: str, finish: str | None = None) -> bytes:
        choice = {"index": 0, "text": text, "finish_reason": finish}
        return b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n"

    async with (
        scripted_side(answers(head(SSE) + part("three") + part("", "stop") + DONE)) as edge,
        scripted_side(answers(head(SSE) + part("two "))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url) as client,
    ):
        reply = await client.post(
            "/v1/completions",
            json={"model": "qa", "prompt": "one ", "stream": True},
            headers={"x-hem-on-break": "continue"},
        )
    texts = [c["text"] for each in events_of(reply) for c in each["choices"]]
    assert "".join(texts) == "two three"
    assert edge.asked[0]["prompt"] == "one two "


async def test_a_whole_answer_whose_connection_then_breaks_is_whole() -> None:
    ended = begun("yes") + event("big", None, "stop")
    async with (
        scripted_side(answers(ended), ends=never) as cloud,
        gateway(cloud=cloud.url, between_tokens=0.4) as client,
    ):
        reply = await client.post(PATH, json=chat())
    assert (text_of(reply), is_whole(reply)) == ("yes", True)


DEADLINES = ["0", "-1", "soon", "nan", "inf", ""]


@pytest.mark.parametrize("value", DEADLINES)
async def test_a_deadline_that_is_none_is_refused(value: str) -> None:
    async with gateway() as client:
        reply = await client.post(PATH, json=chat(), headers={"x-hem-deadline": value})
    assert (reply.status_code, reply.json()["error"]["param"]) == (400, "x-hem-deadline")


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_the_callers_deadline_leaves_the_other_side_half_of_it(stream: bool) -> None:
    edge_answer = EDGE if stream else whole("small", "the edge")
    async with (
        scripted_side(answers(edge_answer)) as edge,
        scripted_side(answers(b""), ends=never) as cloud,
        gateway(edge=edge.url, cloud=cloud.url) as client,
    ):
        began = time.perf_counter()
        reply = await client.post(PATH, json=chat(stream=stream), headers={"x-hem-deadline": "2.0"})
    assert 1.0 <= time.perf_counter() - began < 2.0
    assert (reply.status_code, reply.headers["x-hem-degraded"]) == (200, "timeout")


async def test_behind_the_deadline_there_is_no_answer() -> None:
    async with (
        scripted_side(answers(b""), ends=never) as edge,
        scripted_side(answers(begun("one ")), ends=never) as cloud,
        gateway(edge=edge.url, cloud=cloud.url) as client,
    ):
        deadline = {"x-hem-deadline": "0.5"}
        forced = await client.post(PATH, json=chat(model="qa-edge"), headers=deadline)
        routed = await client.post(PATH, json=chat(), headers=deadline)
        await asyncio.wait_for(asyncio.gather(edge.gone.wait(), cloud.gone.wait()), 5)
    assert (forced.status_code, "deadline" in forced.json()["error"]["message"]) == (504, True)
    assert "deadline" in broke(routed)


async def test_a_side_that_fails_again_and_again_is_left_alone() -> None:
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(refused(503))) as cloud,
        gateway(
            edge=edge.url,
            cloud=cloud.url,
            limits={"breaker_failures": 3, "breaker_seconds": 30},
        ) as client,
    ):
        replies = [await client.post(PATH, json=chat()) for _ in range(9)]
        forced = await client.post(PATH, json=chat(model="qa-cloud"))
    assert all(text_of(reply) == "the edge" for reply in replies)
    assert len(cloud.asked) == 3 + 1  # who forces it has nobody else
    assert forced.status_code == 503
    assert 1 <= int(forced.headers["retry-after"]) <= 30


async def test_retry_after_is_kept() -> None:
    wait = b"HTTP/1.1 429 X\r\nretry-after: 20\r\nconnection: close\r\n\r\n{}"
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(wait)) as cloud,
        gateway(
            edge=edge.url, cloud=cloud.url, limits={"retries": 2, "breaker_failures": 5}
        ) as client,
    ):
        replies = [await client.post(PATH, json=chat()) for _ in range(3)]
    assert all(text_of(reply) == "the edge" for reply in replies)
    assert len(cloud.asked) == 1


async def test_another_try_may_help() -> None:
    tries = iter([b"", refused(503), streamed("big", "yes")])
    async with (
        scripted_side(lambda body: next(tries)) as cloud,
        gateway(cloud=cloud.url, limits={"retries": 2}) as client,
    ):
        reply = await client.post(PATH, json=chat())
    assert (text_of(reply), is_whole(reply)) == ("yes", True)


async def test_a_side_that_is_slower_than_usual_is_hedged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one is not given up; who says something first answers, and the other one ends."""
    slow = False
    may_hedge = [False]
    monkeypatch.setattr(Hedging, "take", lambda self: may_hedge[0])

    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(
            lambda body: b"" if slow else streamed("big", "the cloud"), ends=lambda _: not slow
        ) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, hedge_percentile=95, first_token=30) as client,
    ):
        for _ in range(FEWEST):
            assert text_of(await client.post(PATH, json=chat())) == "the cloud"
        slow, may_hedge[0] = True, True
        reply = await client.post(PATH, json=chat())
        await asyncio.wait_for(cloud.gone.wait(), 5)
    hem = hem_of(reply)
    assert (text_of(reply), hem["degraded"], "failed" in hem) == ("the edge", "timeout", False)
    assert len(edge.asked) == 1


def test_hedging_keeps_within_its_share_whatever_the_waits_are() -> None:
    drawn, hedging, asked = random.Random(0), Hedging(95), 0
    for number in range(4000):
        after = hedging.after("cloud", True)
        wait = drawn.expovariate(1) * (20 if number % 1000 > 800 else 1)
        if after is not None and wait > after:
            asked += hedging.take()
        hedging.waited("cloud", True, wait)
    assert 0.03 * 4000 < asked <= 0.06 * 4000


async def test_a_side_that_takes_no_connection_is_left_in_time() -> None:
    with deaf_port() as port:
        async with (
            scripted_side(answers(EDGE)) as edge,
            gateway(
                edge=edge.url, cloud=f"http://127.0.0.1:{port}", limits={"connect_timeout": 0.3}
            ) as client,
        ):
            began = time.perf_counter()
            reply = await client.post(PATH, json=chat())
    assert time.perf_counter() - began < 2.0
    assert (text_of(reply), hem_of(reply)["degraded"]) == ("the edge", "timeout")


async def test_an_edge_that_is_slow_with_its_draft_leaves_the_cloud_half_of_the_deadline() -> None:
    async with (
        scripted_side(answers(b""), ends=never) as edge,
        scripted_side(answers(streamed("big", "the cloud"))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, algorithm="ConfidenceRouter") as client,
    ):
        reply = await client.post(PATH, json=chat(), headers={"x-hem-deadline": "1.0"})
    assert (text_of(reply), hem_of(reply)["reason"]) == ("the cloud", "edge_failed")


async def test_a_guard_of_privacy_keeps_a_stream_that_breaks_off_at_the_edge() -> None:
    async with (
        scripted_side(answers(begun("one ", model="small"))) as edge,
        scripted_side(answers(streamed("big", "two"))) as cloud,
        gateway(
            edge=edge.url, cloud=cloud.url, guards={"private": Private(Guard.Parameters())}
        ) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers={"x-hem-on-break": "continue"})
    assert broke(reply)
    assert cloud.asked == []
