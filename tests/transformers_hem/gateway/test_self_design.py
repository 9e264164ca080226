"""A strategy in the gateway: what the cloud is asked, and what the caller gets where it fails."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.predictors.upstream.slow_side import head
from tests.transformers_hem.gateway.gateway_under_test import NOBODY, chat, gateway
from tests.transformers_hem.gateway.scripted_side import (
    DONE,
    SSE,
    Body,
    refused,
    scripted_side,
    streamed,
    usage,
    whole,
)
from tests.transformers_hem.gateway.test_failover import PATH, answers, hem_of, is_whole, text_of
from tests.transformers_hem.guards.budget.budgets import budget
from transformers_hem.guards.base import Guard
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.guard import PrivacyGuard

CARD = "4111 1111 1111 1111"
EMAIL = "anna@example.com"
PROMPT = "Q: {query} D: {draft}"
REFINE: dict[str, Any] = {
    "algorithm": None,
    "strategy": "refine",
    "strategy_parameters": json.dumps({"prompt": PROMPT}),
}
SPECULATIVE: dict[str, Any] = {"algorithm": None, "strategy": "speculative"}
DRAFT = whole("small", "a draft", usage=usage(3, 2))
REFINED = streamed("big", "better ", "now", usage=usage(9, 2))


def keeps(action: str = "keep") -> dict[str, Guard]:
    return {"PrivacyGuard": PrivacyGuard(PrivacyParameters.model_validate({"action": action}))}


def sure(logprob: float) -> bytes:
    tokens = [{"token": "a draft", "logprob": logprob, "bytes": None, "top_logprobs": []}]
    choice = {"index": 0, "message": {"role": "assistant", "content": "a draft"}}
    choice |= {"finish_reason": "stop", "logprobs": {"content": tokens}}
    body = {"id": "c", "object": "chat.completion", "model": "small", "choices": [choice]}
    return b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + json.dumps(body).encode()


def told(reply: httpx.Response) -> tuple[str, str]:
    return reply.headers["x-hem-route"], reply.headers["x-hem-reason"]


async def ask(
    body: Body, edge: Any = DRAFT, cloud: Any = REFINED, **options: Any
) -> tuple[httpx.Response, list[Body], list[Body]]:
    """The reply, and what each side was asked."""
    async with (
        scripted_side(answers(edge)) as small,
        scripted_side(cloud if callable(cloud) else answers(cloud)) as large,
        gateway(edge=small.url, cloud=large.url, **{**REFINE, **options}) as client,
    ):
        reply = await client.post(PATH, json=body)
    return reply, small.asked, large.asked


async def test_the_cloud_gets_the_draft_and_its_stream_goes_out() -> None:
    reply, edge, cloud = await ask(chat("1 + 1?", max_tokens=9))
    assert (text_of(reply), is_whole(reply)) == ("better now", True)
    assert "stream" not in edge[0]
    (body,) = cloud
    assert body["messages"] == [{"role": "user", "content": "Q: 1 + 1? D: a draft"}]
    assert (body["max_tokens"], body["stream"]) == (9, True)
    hem = hem_of(reply)
    assert (hem["route"], hem["reason"], hem["algorithm"]) == ("cloud", "strategy", "refine")
    assert (hem["strategy"], hem["score"], hem["served_by"]) == ("refine", None, "big")
    assert (hem["spent"][0]["model"], hem["spent"][0]["completion_tokens"]) == ("small", 2)


async def test_a_whole_answer_and_the_conversation_before_it() -> None:
    before = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "hello"},
    ]
    parts = [{"type": "text", "text": "1 +"}, {"type": "text", "text": " 1?"}]
    sent = chat(messages=[*before, {"role": "user", "content": parts}], stream=False)
    reply, _, (body,) = await ask(sent, cloud=whole("big", "2"))
    assert reply.json()["choices"][0]["message"]["content"] == "2"
    assert body["messages"][:-1] == before
    assert body["messages"][-1] == {"role": "user", "content": "Q: 1 + 1? D: a draft"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("cloud", [refused(500), refused(503), refused(401)])
async def test_where_the_cloud_fails_the_draft_is_the_answer(stream: bool, cloud: bytes) -> None:
    reply, edge, asked = await ask(chat(stream=stream), cloud=cloud)
    said = text_of(reply) if stream else reply.json()["choices"][0]["message"]["content"]
    hem = hem_of(reply) if stream else reply.json()["hem"]
    assert (said, len(edge), len(asked)) == ("a draft", 1, 1)
    assert (hem["route"], hem["served_by"], bool(hem["degraded"])) == ("cloud", "small", True)


@pytest.mark.parametrize(("logprob", "route"), [(-0.01, "edge"), (-3.0, "cloud")])
async def test_with_an_algorithm_beside_it_only_hard_drafts_are_refined(
    logprob: float, route: str
) -> None:
    reply, _, cloud = await ask(chat(), edge=sure(logprob), algorithm="ConfidenceRouter")
    assert told(reply) == (route, "algorithm")
    assert text_of(reply) == ("better now" if cloud else "a draft")
    assert len(cloud) == (route == "cloud")
    assert hem_of(reply)["algorithm"] == "ConfidenceRouter"


@pytest.mark.parametrize("model", ["qa-edge", "qa-cloud"])
async def test_the_caller_who_forces_a_side_gets_that_side_alone(model: str) -> None:
    reply, edge, cloud = await ask(chat("1 + 1?", model=model), edge=streamed("small", "mine"))
    side = model.removeprefix("qa-")
    assert told(reply) == (side, "prefer")
    assert (len(edge), len(cloud)) == ((1, 0) if side == "edge" else (0, 1))
    asked = (edge or cloud)[0]["messages"][-1]["content"]
    assert asked == "1 + 1?"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_private_draft_to_a_harmless_question_does_not_leave(stream: bool) -> None:
    private = whole("small", f"her card is {CARD}")
    reply, _, cloud = await ask(chat(stream=stream), edge=private, guards=keeps())
    assert cloud == []
    assert told(reply) == ("edge", "PrivacyGuard")
    said = text_of(reply) if stream else reply.json()["choices"][0]["message"]["content"]
    assert said == f"her card is {CARD}"


async def test_a_private_draft_leaves_with_placeholders_where_the_guard_redacts() -> None:
    def echoes(body: Body) -> bytes:
        return streamed("big", *body["messages"][-1]["content"])

    question = f"Who is {EMAIL}?"
    reply, _, cloud = await ask(
        chat(question),
        edge=whole("small", f"{EMAIL}, card {CARD}"),
        cloud=echoes,
        guards=keeps("redact"),
    )
    assert EMAIL not in json.dumps(cloud) and CARD not in json.dumps(cloud)
    assert text_of(reply) == f"Q: {question} D: {EMAIL}, card {CARD}"


async def test_the_budget_counts_what_is_really_asked(tmp_path: Path) -> None:
    """The question alone would have room: with its draft it has none, and nothing is counted."""
    guard = budget(tmp_path / "b", tokens=600)
    long = whole("small", "x" * 3000)
    reply, _, cloud = await ask(chat(max_tokens=20), edge=long, guards={"BudgetGuard": guard})
    assert (cloud, told(reply)) == ([], ("edge", "BudgetGuard"))
    assert text_of(reply) == "x" * 3000
    assert guard.left() == {"tokens": 600}


async def test_an_edge_that_fails_leaves_the_question_as_it_is() -> None:
    reply, _, cloud = await ask(chat("1 + 1?"), edge=refused(500))
    assert told(reply) == ("cloud", "edge_failed")
    assert cloud[0]["messages"][-1]["content"] == "1 + 1?"


async def test_each_prompt_of_a_completion_has_a_draft_of_its_own() -> None:
    def drafts(body: Body) -> bytes:
        choices = [{"index": i, "text": f"d{i}", "finish_reason": "stop"} for i in range(4)]
        made = {"id": "c", "object": "text_completion", "model": "small", "choices": choices}
        return b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + json.dumps(made).encode()

    async with (
        scripted_side(drafts) as small,
        scripted_side(answers(refused(500))) as large,
        gateway(edge=small.url, cloud=large.url, **REFINE) as client,
    ):
        body = {"model": "qa", "prompt": ["a", "b"], "n": 2}
        reply = await client.post("/v1/completions", json=body)
    assert large.asked[0]["prompt"] == ["Q: a D: d0", "Q: b D: d2"]
    assert [choice["text"] for choice in reply.json()["choices"]] == ["d0", "d1", "d2", "d3"]


@pytest.mark.parametrize(
    ("path", "fields"),
    [
        ("/v1/completions", {"prompt": [1, 2]}),
        ("/v1/completions", {"prompt": "a", "echo": True}),
        (
            PATH,
            {
                "messages": [
                    {"role": "user", "content": "a"},
                    {"role": "assistant", "content": "b"},
                ],
                "continue_final_message": True,
            },
        ),
    ],
)
async def test_what_is_no_question_in_words_is_asked_as_it_is(
    path: str, fields: dict[str, Any]
) -> None:
    choice = {"index": 0, "text": "d", "message": {"content": "d"}, "finish_reason": "stop"}
    made = {"id": "c", "object": "x", "model": "small", "choices": [choice]}
    answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n" + json.dumps(made).encode()
    async with (
        scripted_side(answers(answer)) as small,
        scripted_side(answers(answer)) as large,
        gateway(edge=small.url, cloud=large.url, **REFINE) as client,
    ):
        await client.post(path, json={"model": "qa", **fields})
    (asked,) = large.asked
    assert {name: asked[name] for name in fields} == fields


async def test_a_joint_edge_is_told_the_route_and_streams() -> None:
    async with (
        scripted_side(answers(streamed("joint", "the ", "answer"))) as edge,
        gateway(edge=edge.url, cloud=NOBODY, **SPECULATIVE) as client,
    ):
        both = await client.post(PATH, json=chat())
        alone = await client.post(PATH, json=chat(model="qa-edge"))
    assert (text_of(both), is_whole(both)) == ("the answer", True)
    assert (told(both), told(alone)) == (("cloud", "strategy"), ("edge", "prefer"))
    assert [head["x-hem-route"] for head in edge.heads] == ["cloud", "edge"]
    assert hem_of(both)["strategy"] == "speculative"


def told_by_the_edge(stream: bool, *ways: dict[str, str]) -> bytes:
    """What a joint edge answers, of a choice for each way in which it came about."""
    said = {"role": "assistant", "content": "an answer"}
    about = {"id": "c", "object": "x", "model": "m"}
    named = {"finish_reason": "stop", "delta" if stream else "message": said}
    choices = [{"index": index, **named} for index in range(len(ways))]
    if not stream:
        return head() + json.dumps({**about, "hem": ways[0], "choices": choices}).encode()
    events = [
        {**about, "hem": way, "choices": [each]} for way, each in zip(ways, choices, strict=True)
    ]
    return head(SSE) + b"".join(b"data: " + json.dumps(e).encode() + b"\n\n" for e in events) + DONE


BOTH = {"speculation": "speculative"}
ENDED = {"speculation": "edge", "reason": "it can't be reached", "continues": "cloud"}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("way", "degraded"), [(ENDED, "link"), (BOTH, None)])
async def test_an_answer_that_the_small_model_had_to_end_is_degraded(
    stream: bool, way: dict[str, str], degraded: str | None
) -> None:
    async with (
        scripted_side(answers(told_by_the_edge(stream, way))) as edge,
        gateway(edge=edge.url, **SPECULATIVE) as client,
    ):
        reply = await client.post(PATH, json=chat(stream=stream))
    hem = hem_of(reply) if stream else reply.json()["hem"]
    assert (hem["route"], hem.get("degraded")) == ("cloud", degraded)
    assert hem.get("continues") == way.get("continues")
    assert hem.get("speculation_reason") == way.get("reason")
    if not stream:  # a stream's headers leave before anybody knows
        assert reply.headers.get("x-hem-degraded") == degraded


async def test_one_choice_of_several_that_had_to_be_ended_is_told() -> None:
    async with (
        scripted_side(answers(told_by_the_edge(True, ENDED, BOTH))) as edge,
        gateway(edge=edge.url, **SPECULATIVE) as client,
    ):
        reply = await client.post(PATH, json=chat(n=2))
    assert hem_of(reply)["degraded"] == "link"


@pytest.mark.parametrize("status", [502, 503, 504])
async def test_who_forces_the_cloud_of_a_joint_edge_gets_its_error(status: int) -> None:
    async with (
        scripted_side(answers(refused(status))) as edge,
        gateway(edge=edge.url, **SPECULATIVE) as client,
    ):
        reply = await client.post(PATH, json=chat(model="qa-cloud"))
    assert (reply.status_code, len(edge.asked)) == (status, 1)
    assert [(h["x-hem-route"], h["x-hem-reason"]) for h in edge.heads] == [("cloud", "prefer")]


async def test_where_a_joint_edge_has_no_small_model_the_cloud_answers() -> None:
    said = iter([refused(400, code="unsupported", param="hem_route"), streamed("big", "mine")])
    async with (
        scripted_side(lambda body: next(said)) as edge,
        gateway(edge=edge.url, **{**SPECULATIVE, "algorithm": "EdgeOnly"}) as client,
    ):
        reply = await client.post(PATH, json=chat())
    assert told(reply) == ("cloud", "edge_cannot")
    assert [head["x-hem-route"] for head in edge.heads] == ["edge", "cloud"]


@pytest.mark.parametrize("model", ["qa", "qa-cloud"])
async def test_what_is_private_stays_with_the_small_model_of_a_joint_edge(model: str) -> None:
    async with (
        scripted_side(answers(streamed("joint", "mine"))) as edge,
        gateway(edge=edge.url, guards=keeps(), **SPECULATIVE) as client,
    ):
        reply = await client.post(PATH, json=chat(f"my card is {CARD}", model=model))
    assert told(reply) == ("edge", "PrivacyGuard")
    assert [head["x-hem-route"] for head in edge.heads] == ["edge"]


async def test_where_a_joint_edge_fails_for_the_cloud_its_small_model_is_asked_alone() -> None:
    said = iter([refused(502), streamed("small", "mine")])
    async with (
        scripted_side(lambda body: next(said)) as edge,
        gateway(edge=edge.url, **SPECULATIVE) as client,
    ):
        reply = await client.post(PATH, json=chat())
    assert text_of(reply) == "mine"
    assert [head["x-hem-route"] for head in edge.heads] == ["cloud", "edge"]
    assert (hem_of(reply)["route"], bool(hem_of(reply)["degraded"])) == ("cloud", True)
