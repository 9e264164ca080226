"""The beginning of the edge's stream decides: it goes out and on, or the cloud answers."""

import asyncio
import json
import math
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
)
from tests.transformers_hem.gateway.test_failover import PATH, hem_of, is_whole, text_of
from transformers_hem.algorithms.base import Batch
from transformers_hem.gateway.hold import Hold
from transformers_hem.gateway.options import DecideAt, read_decide_at
from transformers_hem.serving.decision import Decision

SURE, UNSURE = -0.01, -3.0
CLOUD = streamed("big", "the ", "cloud")


def scored(text: str, logprob: float, finish: str | None = None) -> bytes:
    top = [{"token": text, "logprob": logprob}, {"token": "?", "logprob": -9.0}]
    token = {"token": text, "logprob": logprob, "bytes": list(text.encode()), "top_logprobs": top}
    choice: Body = {"index": 0, "delta": {"content": text}, "finish_reason": finish}
    choice["logprobs"] = {"content": [token]}
    return (
        b"data: "
        + json.dumps({"id": "c", "model": "small", "choices": [choice]}).encode()
        + (b"\n\n")
    )


def edge_says(*logprobs: float) -> bytes:
    parts = (scored(f"w{i} ", logprob) for i, logprob in enumerate(logprobs))
    return head(SSE) + b"".join(parts)


END = event("small", None, "stop") + DONE


async def test_a_sure_beginning_goes_out_while_the_answer_goes_on() -> None:
    async with (
        scripted_side(lambda body: edge_says(SURE, SURE, SURE), ends=never) as edge,
        scripted_side(lambda body: CLOUD) as cloud,
        gateway(
            edge=edge.url, cloud=cloud.url, algorithm="ConfidenceRouter", decide_at=2
        ) as client,
        client.stream("POST", PATH, json=chat()) as reply,
    ):
        assert reply.headers["x-hem-route"] == "edge"
        async for text in reply.aiter_text():
            assert "w0 " in text
            assert "logprob" not in text
            break
    assert cloud.asked == []
    assert edge.asked[0]["logprobs"] is True


async def test_an_unsure_beginning_is_left_for_the_cloud_and_the_edge_is_not_waited_for() -> None:
    async with (
        scripted_side(lambda body: edge_says(UNSURE, UNSURE), ends=never) as edge,
        scripted_side(lambda body: CLOUD) as cloud,
        gateway(
            edge=edge.url, cloud=cloud.url, algorithm="ConfidenceRouter", decide_at=2
        ) as client,
    ):
        reply = await client.post(PATH, json=chat())
        await asyncio.wait_for(edge.gone.wait(), 5)
    assert (text_of(reply), is_whole(reply)) == ("the cloud", True)
    hem = hem_of(reply)
    assert (hem["route"], hem["served_by"]) == ("cloud", "big")
    assert hem["score"] == pytest.approx(-math.expm1(UNSURE))
    (spent,) = hem["spent"]
    assert (spent["model"], spent["completion_tokens"]) == ("small", 2)


CASES: dict[str, tuple[DecideAt, tuple[float, ...], str]] = {
    "what comes later does not count": (2, (SURE, SURE, UNSURE, UNSURE), "edge"),
    "an answer that ends before is its own beginning": (9, (UNSURE, UNSURE), "cloud"),
    "and may be sure": (9, (SURE, SURE), "edge"),
    "the first tokens count": (1, (UNSURE, SURE, SURE, SURE), "cloud"),
    "a sentence that does not end is all": ("sentence", (SURE, UNSURE, UNSURE), "cloud"),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("name", CASES)
async def test_stream_and_whole_answer_are_decided_alike(name: str, stream: bool) -> None:
    at, logprobs, route = CASES[name]

    def edge_answer(body: Body) -> bytes:
        return edge_says(*logprobs) + END if body.get("stream") else whole_answer(*logprobs)

    async with (
        scripted_side(edge_answer) as edge,
        scripted_side(lambda body: CLOUD) as cloud,
        gateway(
            edge=edge.url, cloud=cloud.url, algorithm="ConfidenceRouter", decide_at=at
        ) as client,
    ):
        reply = await client.post(PATH, json=chat(stream=stream))
    assert reply.headers["x-hem-route"] == route
    assert '"logprobs":{' not in reply.text


def whole_answer(*logprobs: float) -> bytes:
    tokens = [
        {"token": f"w{i} ", "logprob": logprob, "bytes": list(b"w%d " % i)}
        for i, logprob in enumerate(logprobs)
    ]
    text = "".join(str(token["token"]) for token in tokens)
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}}
    choice |= {"finish_reason": "stop", "logprobs": {"content": tokens}}
    return head() + json.dumps({"id": "c", "model": "small", "choices": [choice]}).encode()


async def test_an_edge_without_log_probabilities_leaves_all_to_the_cloud() -> None:
    def edge_answer(body: Body) -> bytes:
        if "logprobs" in body:
            return refused(400, "no", param="logprobs")
        return streamed("small", "one", "two")

    async with (
        scripted_side(edge_answer) as edge,
        scripted_side(lambda body: CLOUD) as cloud,
        gateway(
            edge=edge.url, cloud=cloud.url, algorithm="ConfidenceRouter", decide_at=2
        ) as client,
    ):
        reply = await client.post(PATH, json=chat())
    assert text_of(reply) == "the cloud"
    assert reply.headers["x-hem-reason"] == "no_signal"


BROKEN = {
    "before its beginning is there": edge_says(SURE),
    "with an error": edge_says(SURE) + b'data: {"error": {"message": "no"}}\n\n',
    "at once": b"",
}


@pytest.mark.parametrize("name", BROKEN)
async def test_where_the_edge_fails_the_cloud_answers(name: str) -> None:
    async with (
        scripted_side(lambda body: BROKEN[name]) as edge,
        scripted_side(lambda body: CLOUD) as cloud,
        gateway(
            edge=edge.url, cloud=cloud.url, algorithm="ConfidenceRouter", decide_at=2
        ) as client,
    ):
        reply = await client.post(PATH, json=chat())
    assert (text_of(reply), is_whole(reply)) == ("the cloud", True)
    assert hem_of(reply)["reason"] == "edge_failed"


async def test_where_the_cloud_fails_the_edge_answers_anew() -> None:
    async with (
        scripted_side(lambda body: edge_says(UNSURE, UNSURE) + END) as edge,
        scripted_side(lambda body: refused(503)) as cloud,
        gateway(
            edge=edge.url, cloud=cloud.url, algorithm="ConfidenceRouter", decide_at=2
        ) as client,
    ):
        reply = await client.post(PATH, json=chat())
    assert (text_of(reply), is_whole(reply)) == ("w0 w1 ", True)
    assert hem_of(reply)["degraded"] == "503"


async def test_where_a_committed_answer_breaks_off_the_cloud_goes_on() -> None:
    async with (
        scripted_side(lambda body: edge_says(SURE, SURE, SURE)) as edge,
        scripted_side(lambda body: CLOUD) as cloud,
        gateway(
            edge=edge.url, cloud=cloud.url, algorithm="ConfidenceRouter", decide_at=2
        ) as client,
    ):
        reply = await client.post(PATH, json=chat(), headers={"x-hem-on-break": "continue"})
    assert (text_of(reply), is_whole(reply)) == ("w0 w1 w2 the cloud", True)
    assert cloud.asked[0]["messages"][-1]["content"] == "w0 w1 w2 "


SENTENCES = {
    "Yes. It is.": "Yes.",
    "It is 3.5 m, i.e. long. So it is.": "It is 3.5 m, i.e. long.",
    '"Why?" he said. No one knew.': '"Why?" he said.',
    "One\nTwo": "One\n",
    "\u662f\u7684\u3002\u5b83\u662f": "\u662f\u7684\u3002",
    "no end": "no end",
}


@pytest.mark.parametrize("size", [1, 2, 5, 100])
@pytest.mark.parametrize(("text", "sentence"), SENTENCES.items(), ids=range(len(SENTENCES)))
async def test_the_first_sentence_is_the_same_however_it_comes(
    text: str, sentence: str, size: int
) -> None:
    seen: list[Batch] = []

    async def decide(batch: Batch) -> Decision:
        seen.append(batch)
        return Decision(EDGE, 0.0, "x", 0.5, "algorithm")

    hold = Hold("q", "sentence", decide, shows_logprobs=False)
    tokens = [{"token": c, "logprob": -float(i)} for i, c in enumerate(text)]
    for begin in range(0, len(text), size):
        end = begin + size
        content = {"content": text[begin:end]}
        hold.take({"delta": content, "logprobs": {"content": tokens[begin:end]}})
        await hold.look(ended=False)
    await hold.look(ended=True)
    (batch,) = seen
    assert batch.answers == (sentence,)
    assert batch.min_logprob is not None
    assert batch.min_logprob[0] == 1.0 - len(sentence)


@pytest.mark.parametrize("value", ["0", "-1", "first", "1.5", ""])
def test_when_to_decide_is_a_number_sentence_or_end(value: str) -> None:
    with pytest.raises(ValueError, match="number of tokens"):
        read_decide_at(value)
    assert [read_decide_at(v) for v in ("16", "sentence", "end")] == [16, "sentence", "end"]
