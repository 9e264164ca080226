"""Nothing private leaves by any way of the gateway: what the cloud was asked is looked through."""

import json
from typing import Any

import pytest

from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import (
    Body,
    refused,
    scripted_side,
    streamed,
    usage,
    whole,
)
from tests.transformers_hem.gateway.test_failover import EDGE, PATH, Sent, answers, begun, text_of
from tests.transformers_hem.gateway.test_sentences import BY_SENTENCE, EASY, HARD, MIXED, says
from transformers_hem.gateway.hedging import FEWEST
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.guard import PrivacyGuard

SECRET = "4111 1111 1111 1111"
GUARDS = {"PrivacyGuard": PrivacyGuard(PrivacyParameters())}
CLOUD = streamed("big", "the ", "cloud", usage=usage(3, 2))
SCORED = says(EASY)
BREAKS = begun("one ", model="small")
PRIVATE: dict[str, dict[str, Any]] = {
    "the question": chat(f"my card is {SECRET}"),
    "the system": chat(
        messages=[
            {"role": "system", "content": f"Their card is {SECRET}"},
            {"role": "user", "content": "hello"},
        ]
    ),
    "an image": chat(
        messages=[
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                ],
            }
        ]
    ),
}
# What the edge answers, the caller's model and headers, and how the gateway is set up.
Way = tuple[Sent, str, dict[str, str], dict[str, Any]]
WAYS: dict[str, Way] = {
    "the algorithm": (EDGE, "qa", {}, {}),
    "the cloud's name": (EDGE, "qa-cloud", {}, {}),
    "a conversation at the cloud": (EDGE, "qa", {"x-session-id": "1"}, {"sticky": "header"}),
    "an edge that fails": (refused(500), "qa", {}, {}),
    "an edge that fails, and the cloud's name": (refused(500), "qa-cloud", {}, {}),
    "an edge that is overloaded": (refused(503), "qa", {}, {"algorithm": "EdgeOnly"}),
    "an edge that can't take it": (refused(400, code="context_length_exceeded"), "qa", {}, {}),
    "an edge that has no such field": (refused(400, code="unsupported"), "qa", {}, {}),
    "an edge that breaks off": (BREAKS, "qa", MIXED, {}),
    "a cascade": (SCORED, "qa", {}, {"algorithm": "ConfidenceRouter"}),
    "a cascade whose edge fails": (refused(500), "qa", {}, {"algorithm": "ConfidenceRouter"}),
    "a cascade on the first tokens": (
        says(HARD),
        "qa",
        {},
        {"algorithm": "ConfidenceRouter", "decide_at": 4},
    ),
    "sentence by sentence": (says(HARD), "qa", MIXED, BY_SENTENCE),
    "sentences of an edge that breaks off": (says(EASY, end=b""), "qa", MIXED, BY_SENTENCE),
}


# Every way with a private question, and the other places by the ways that decide otherwise.
CASES = [("the question", way) for way in WAYS] + [
    (place, way)
    for place in ("the system", "an image")
    for way in ("the cloud's name", "an edge that can't take it", "a cascade")
]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("place", "way"), CASES)
async def test_what_is_private_stays_at_the_edge(place: str, stream: bool, way: str) -> None:
    answer, model, headers, options = WAYS[way]
    async with (
        scripted_side(answers(answer)) as edge,
        scripted_side(answers(CLOUD)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=GUARDS, **options) as client,
    ):
        if "sticky" in options:
            public = chat(model="qa-cloud")
            assert text_of(await client.post(PATH, json=public, headers=headers)) == "the cloud"
            cloud.asked.clear()
        body = {**PRIVATE[place], "model": model, "stream": stream}
        reply = await client.post(PATH, json=body, headers=headers)
    assert cloud.asked == []
    assert edge.asked
    if "x-hem-reason" in reply.headers:
        assert reply.headers["x-hem-route"] == "edge"
        assert reply.headers["x-hem-reason"] == "PrivacyGuard"
    else:
        assert '"error"' in reply.text


@pytest.mark.parametrize("model", ["qa", "qa-cloud"])
async def test_what_is_not_private_goes_where_it_went(model: str) -> None:
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(CLOUD)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=GUARDS) as client,
    ):
        reply = await client.post(PATH, json=chat(model=model))
    assert text_of(reply) == "the cloud"
    assert len(cloud.asked) == 1


async def test_a_slow_edge_is_not_hedged_with_what_is_private() -> None:
    """What is not private is, by the same gateway."""
    slow = {"slow": False}

    def ends(body: Body) -> bool:
        return not slow["slow"]

    def answered(body: Body) -> Sent:
        return b"" if slow["slow"] else EDGE

    async with (
        scripted_side(answered, ends=ends) as edge,
        scripted_side(answers(CLOUD)) as cloud,
        gateway(
            edge=edge.url,
            cloud=cloud.url,
            algorithm="EdgeOnly",
            guards=GUARDS,
            hedge_percentile=50.0,
        ) as client,
    ):
        for _ in range(FEWEST):
            await client.post(PATH, json=chat())
        slow["slow"] = True
        assert text_of(await client.post(PATH, json=chat())) == "the cloud"
        asked = len(cloud.asked)
        reply = await client.post(
            PATH, json=chat(f"card {SECRET}"), headers={"x-hem-deadline": "0.5"}
        )
        assert reply.status_code == 504 or '"error"' in reply.text
        assert len(cloud.asked) == asked


@pytest.mark.parametrize("way", ["sentences", "breaks"])
@pytest.mark.parametrize("private", [True, False])
async def test_a_beginning_of_an_answer_leaves_only_where_it_is_not_private(
    way: str, private: bool
) -> None:
    """The cloud would get what the edge has said, to go on behind it."""
    said = f"It is {SECRET}. " if private else "It is one. "
    by_sentence = way == "sentences"
    answer = (
        says(HARD, (said, "Two. ", "Three. ", "Four."))
        if by_sentence
        else begun(said, model="small")
    )
    options = BY_SENTENCE if by_sentence else {"algorithm": "EdgeOnly"}
    async with (
        scripted_side(answers(answer)) as edge,
        scripted_side(answers(streamed("big", "and so on."))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=GUARDS, **options) as client,
    ):
        await client.post(PATH, json=chat(), headers=MIXED)
    assert SECRET not in json.dumps(cloud.asked)
    assert bool(cloud.asked) is not private


async def test_completions_are_looked_at_too() -> None:
    answer = whole("small", "x")
    async with (
        scripted_side(answers(answer)) as edge,
        scripted_side(answers(answer)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=GUARDS) as client,
    ):
        for prompt in (f"card {SECRET}", ["x", f"card {SECRET}"], [1, 2, 3]):
            await client.post("/v1/completions", json={"model": "qa-cloud", "prompt": prompt})
        assert (len(edge.asked), cloud.asked) == (3, [])


async def test_a_conversation_that_was_private_once_stays_so() -> None:
    seen = []
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(CLOUD)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=GUARDS, private="header") as client,
    ):
        for session, text in (("a", "hi"), ("a", f"card {SECRET}"), ("a", "hi"), ("b", "hi")):
            headers = {"x-session-id": session}
            reply = await client.post(PATH, json=chat(text, model="qa-cloud"), headers=headers)
            seen.append(text_of(reply))
        seen.append(text_of(await client.post(PATH, json=chat("hi", model="qa-cloud"))))
    assert seen == ["the cloud", "the edge", "the edge", "the cloud", "the cloud"]
