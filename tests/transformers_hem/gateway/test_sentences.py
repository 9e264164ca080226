"""Each sentence of the edge's answer decides: it goes out, or the cloud goes on."""

import asyncio
import json
from typing import Any

import pytest

from predictors.contract import EDGE
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
)
from tests.transformers_hem.gateway.test_account import Counters
from tests.transformers_hem.gateway.test_cascade import END, SURE, UNSURE, scored
from tests.transformers_hem.gateway.test_failover import (
    PATH,
    answers,
    begun,
    broke,
    events_of,
    hem_of,
    is_whole,
    no_prefix,
    text_of,
)
from transformers_hem.algorithms.base import Batch
from transformers_hem.gateway.hold import Hold
from transformers_hem.serving.decision import Decision

MIXED = {"x-hem-on-break": "continue"}
BY_SENTENCE: dict[str, Any] = {"algorithm": "ConfidenceRouter", "decide_at": "sentence"}
WORST = 10 * UNSURE  # makes all that came before unsure, too
SENTENCES = ("One. ", "Two. ", "Three. ", "Four.")
EASY, HARD = (SURE,) * 4, (SURE, SURE, WORST, SURE)
WHOLE = "".join(SENTENCES)
REST = streamed("big", "3", " and 4.", usage=usage(9, 2))


def says(
    logprobs: tuple[float, ...], texts: tuple[str, ...] = SENTENCES, end: bytes = END
) -> tuple[bytes, ...]:
    parts = (scored(text, logprob) for text, logprob in zip(texts, logprobs, strict=True))
    return (head(SSE), *parts, end)


async def test_where_all_are_easy_the_edge_answers() -> None:
    async with (
        scripted_side(answers(says(EASY))) as edge,
        scripted_side(answers(REST)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers=MIXED)
    assert (text_of(reply), is_whole(reply), cloud.asked) == (WHOLE, True, [])
    hem = hem_of(reply)
    assert (hem["route"], hem["served_by"]) == ("edge", "small")
    assert not {"continues", "began", "failed", "degraded"} & set(hem)


async def test_a_sentence_waits_for_its_end_and_for_no_other_one() -> None:
    data = says((SURE, SURE, SURE), ("One. ", "Two. ", "Thr"), b"")
    async with (
        scripted_side(answers(data), ends=never) as edge,
        gateway(edge=edge.url, **BY_SENTENCE) as client,
        client.stream("POST", PATH, json=chat(), headers=MIXED) as reply,
    ):
        seen = ""
        async for line in reply.aiter_lines():
            seen += json.loads(line[6:])["choices"][0]["delta"]["content"] if line else ""
            if "Two" in seen:
                break
        await asyncio.wait_for(edge.reached.wait(), 5)
    assert seen == "One. Two. "


async def test_a_hard_first_sentence_is_left_for_the_cloud() -> None:
    async with (
        scripted_side(answers(b"".join(says((WORST, *EASY[1:]), end=b""))), ends=never) as edge,
        scripted_side(answers(REST)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers=MIXED)
        await asyncio.wait_for(edge.gone.wait(), 5)
    assert (text_of(reply), is_whole(reply)) == ("3 and 4.", True)
    assert [m["role"] for m in cloud.asked[0]["messages"]] == ["user"]
    hem = hem_of(reply)
    assert (hem["served_by"], "continues" in hem, "began" in hem) == ("big", False, False)
    assert hem["spent"][0]["model"] == "small"


async def test_behind_a_hard_sentence_the_cloud_goes_on() -> None:
    counters = Counters()
    async with (
        scripted_side(answers(says(HARD, end=b"")), ends=never) as edge,
        scripted_side(answers(REST)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, **BY_SENTENCE) as client,
    ):
        asked = chat(max_tokens=10, stream_options={"include_usage": True})
        reply = await client.post(PATH, json=asked, headers=MIXED)
        await asyncio.wait_for(edge.gone.wait(), 5)
    assert (text_of(reply), is_whole(reply)) == ("One. Two. 3 and 4.", True)
    assert len({each["id"] for each in events_of(reply)}) == 1
    assert [e["usage"]["total_tokens"] for e in events_of(reply) if e.get("usage")] == [11]
    (body,) = cloud.asked
    assert body["messages"][-1] == {"role": "assistant", "content": "One. Two. "}
    assert (body["continue_final_message"], body["max_tokens"]) == (True, 8)
    assert reply.headers["x-hem-route"] == "edge"
    hem = hem_of(reply)
    assert (hem["route"], hem["served_by"], hem["continues"]) == ("cloud", "big", "edge")
    assert (hem["began"]["model"], hem["began"]["completion_tokens"]) == ("small", 4)
    assert not {"failed", "spent", "degraded"} & set(hem)
    assert counters.counted("hem_attempts_total") == {
        ("small", "edge", "escalated"): 1,
        ("big", "cloud", "answered"): 1,
    }
    assert counters.counted("hem_tokens_total") == {
        ("small", "edge", "escalated", "output"): 4,
        ("big", "cloud", "answered", "input"): 9,
        ("big", "cloud", "answered", "output"): 2,
    }


async def test_of_a_part_with_two_sentences_only_the_easy_one_goes_out() -> None:
    data = says((SURE, WORST, SURE), ("One. Tw", "o. Th", "ree."))
    async with (
        scripted_side(answers(data)) as edge,
        scripted_side(answers(streamed("big", " Now two."))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers=MIXED)
    # The second part's token belongs to the second sentence, the first part's to both.
    assert (text_of(reply), is_whole(reply)) == ("One. Now two.", True)
    assert cloud.asked[0]["messages"][-1]["content"] == "One."


async def test_the_last_sentence_ends_with_the_answer() -> None:
    data = says((SURE, SURE, WORST), ("One. ", "Two. ", "And no end"))
    async with (
        scripted_side(answers(data)) as edge,
        scripted_side(answers(REST)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers=MIXED)
    assert (text_of(reply), is_whole(reply)) == ("One. Two. 3 and 4.", True)


async def test_a_cloud_that_takes_no_beginning_answers_anew_and_the_same_is_left_out() -> None:
    async with (
        scripted_side(answers(says(HARD))) as edge,
        scripted_side(no_prefix(streamed("big", "One. Two", ". Or 3."))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers=MIXED)
    assert (text_of(reply), is_whole(reply)) == ("One. Two. Or 3.", True)
    assert len(cloud.asked) == 2


KEPT: dict[str, tuple[Any, str]] = {
    "takes no beginning, and says something else": (no_prefix(REST), "unusable"),
    "is down": (answers(refused(503)), "503"),
    "takes no such question": (answers(refused(400, code="unsupported")), "cloud_cannot"),
    "begins with an error": (
        answers(head(SSE) + b'data: {"error": {"message": "no"}}\n\n'),
        "unusable",
    ),
}


@pytest.mark.parametrize("last", ["goes on", "has ended"])
@pytest.mark.parametrize("name", KEPT)
async def test_where_the_cloud_can_not_go_on_the_edge_does(name: str, last: str) -> None:
    answer, why = KEPT[name]
    logprobs = HARD if last == "goes on" else (SURE, SURE, SURE, WORST)
    async with (
        scripted_side(answers(says(logprobs))) as edge,
        scripted_side(answer) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers=MIXED)
    assert (text_of(reply), is_whole(reply), len(edge.asked)) == (WHOLE, True, 1)
    hem = hem_of(reply)
    assert (hem["route"], hem["served_by"], hem["degraded"]) == ("cloud", "small", why)
    assert {each["route"] for each in hem["failed"]} == {"cloud"}
    assert not {"began", "continues", "spent"} & set(hem)


async def test_an_edge_that_waits_for_the_cloud_is_not_given_up() -> None:
    silent = (head(SSE), *[b": ping\n\n"] * 10, b'data: {"error": {"message": "no"}}\n\n')
    async with (
        scripted_side(answers(says(HARD))) as edge,
        scripted_side(answers(silent)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, between_tokens=0.3, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers=MIXED)
    assert (text_of(reply), is_whole(reply), len(cloud.asked)) == (WHOLE, True, 1)


async def test_a_cloud_that_breaks_off_behind_the_edge_is_an_error() -> None:
    async with (
        scripted_side(answers(says(HARD, end=b"")), ends=never) as edge,
        scripted_side(answers(begun("3"))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers=MIXED)
        await asyncio.wait_for(edge.gone.wait(), 5)
    assert broke(reply)
    assert text_of(reply) == "One. Two. 3"


async def test_an_edge_that_breaks_off_leaves_what_is_not_decided_to_the_cloud() -> None:
    data = says((SURE, SURE, SURE), ("One. ", "Two. ", "Thr"), b"")
    async with (
        scripted_side(answers(data)) as edge,
        scripted_side(answers(REST)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers=MIXED)
    assert (text_of(reply), is_whole(reply)) == ("One. Two. 3 and 4.", True)
    assert hem_of(reply)["failed"][0]["route"] == "edge"


async def test_a_caller_who_leaves_while_the_cloud_takes_over_ends_both() -> None:
    async with (
        scripted_side(answers(says(HARD, end=b"")), ends=never) as edge,
        scripted_side(answers(b""), ends=never) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, **BY_SENTENCE) as client,
    ):
        async with client.stream("POST", PATH, json=chat(), headers=MIXED):
            await asyncio.wait_for(cloud.reached.wait(), 5)
        await asyncio.wait_for(asyncio.gather(edge.gone.wait(), cloud.gone.wait()), 5)


NOT_ALLOWED: dict[str, tuple[dict[str, str], Body, dict[str, Any]]] = {
    "the caller does not ask for it": ({}, {}, {}),
    "the operator forbids it": (MIXED, {}, {"on_break": "error"}),
    "the caller wants log-probabilities": (MIXED, {"logprobs": True}, {}),
}


@pytest.mark.parametrize("name", NOT_ALLOWED)
async def test_two_models_in_one_answer_are_for_who_may_and_can_have_them(name: str) -> None:
    headers, fields, options = NOT_ALLOWED[name]
    async with (
        scripted_side(answers(says(HARD))) as edge,
        scripted_side(answers(REST)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, **BY_SENTENCE, **options) as client,
    ):
        reply = await client.post(PATH, json=chat(**fields), headers=headers)
    assert (text_of(reply), is_whole(reply), cloud.asked) == (WHOLE, True, [])
    assert hem_of(reply)["route"] == "edge"


def whole_answer(body: Body) -> bytes:
    tokens = [
        {"token": text, "logprob": logprob, "bytes": list(text.encode())}
        for text, logprob in zip(SENTENCES, HARD, strict=True)
    ]
    choice: Body = {"index": 0, "message": {"role": "assistant", "content": WHOLE}}
    choice |= {"finish_reason": "stop", "logprobs": {"content": tokens}}
    return head() + json.dumps({"id": "c", "model": "small", "choices": [choice]}).encode()


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("headers", "route"), [(MIXED, "cloud"), ({}, "edge")])
async def test_an_answer_that_comes_whole_is_decided_alike(
    headers: dict[str, str], route: str, stream: bool
) -> None:
    """And as nothing of it was sent, the cloud answers all."""
    async with (
        scripted_side(whole_answer) as edge,
        scripted_side(answers(REST)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat(stream=stream), headers=headers)
    hem = hem_of(reply) if stream else reply.json()["hem"]
    assert (hem["route"], reply.headers["x-hem-route"]) == (route, route)
    text = text_of(reply) if stream else reply.json()["choices"][0]["message"]["content"]
    assert text == ("3 and 4." if route == "cloud" else WHOLE)


@pytest.mark.parametrize("at", [9, "sentence"])
async def test_a_short_answer_with_its_usage_is_described_once_it_is_decided(at: Any) -> None:
    async with (
        scripted_side(
            answers((head(SSE) + scored("Yes.", SURE) + event("small", None, "stop") + COUNTED,))
        ) as edge,
        gateway(edge=edge.url, algorithm="ConfidenceRouter", decide_at=at) as client,
    ):
        reply = await client.post(PATH, json=chat())
    assert (text_of(reply), is_whole(reply)) == ("Yes.", True)
    assert hem_of(reply)["route"] == "edge"


COUNTED = (
    b"data: " + json.dumps({"id": "c", "choices": [], "usage": usage(3, 1)}).encode() + b"\n\n"
) + DONE

ENDS: dict[str, list[str]] = {
    "It is 3.5 m. So it is.": ["It is 3.5 m.", " So it is."],
    "Ask Dr. Smith, Mrs. Jones, i.e. J. Doe, in St. Louis. Now.": [
        "Ask Dr. Smith, Mrs. Jones, i.e. J. Doe, in St. Louis.",
        " Now.",
    ],
    "The U.S. Army did, e.g. Paris. No. It did not.": [
        "The U.S. Army did, e.g. Paris.",
        " No.",
        " It did not.",
    ],
    "1. First\n12. Then so\n\nEnd": ["1. First\n", "12. Then so\n", "\nEnd"],
    "Wait... What?! Yes. \nNo.\n": ["Wait...", " What?!", " Yes. \n", "No.\n"],
    "\u662f\u3002\n\u4e0d\uff01": ["\u662f\u3002", "\n\u4e0d\uff01"],
    "no end": ["no end"],
}


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(("text", "sentences"), ENDS.items(), ids=range(len(ENDS)))
async def test_sentences_are_the_same_however_they_come(
    text: str, sentences: list[str], size: int
) -> None:
    seen: list[Batch] = []

    async def decide(batch: Batch) -> Decision:
        seen.append(batch)
        return Decision(EDGE, 0.0, "x", 0.5, "algorithm")

    hold = Hold("q", "sentence", decide, shows_logprobs=False, again=True)
    tokens = [{"token": c, "logprob": -float(i)} for i, c in enumerate(text)]
    for begin in range(0, len(text), size):
        end = begin + size
        content = {"content": text[begin:end]}
        hold.take({"delta": content, "logprobs": {"content": tokens[begin:end]}})
        await hold.look(ended=False)
    await hold.look(ended=True)
    said = [batch.answers[0] for batch in seen if batch.answers]
    assert said == ["".join(sentences[: n + 1]) for n in range(len(sentences))]
    for batch, so_far in zip(seen, said, strict=True):
        assert batch.min_logprob is not None
        assert batch.min_logprob[0] == 1.0 - len(so_far)
