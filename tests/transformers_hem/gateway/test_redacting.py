"""What is private leaves as placeholders, and the caller's answer has it again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.predictors.upstream.ledger.reading import lines
from tests.predictors.upstream.slow_side import head
from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import (
    DONE,
    SSE,
    Body,
    scripted_side,
    streamed,
    whole,
)
from tests.transformers_hem.gateway.test_failover import PATH, answers, events_of, hem_of, text_of
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.guard import PrivacyGuard

CARD = "4111 1111 1111 1111"
EMAIL = "anna@example.com"
QUESTION = f"Write to {EMAIL}, card {CARD}; again: {EMAIL}."
HIDDEN = "Write to <EMAIL_1>, card <CARD_1>; again: <EMAIL_1>."
GUARDS = {"PrivacyGuard": PrivacyGuard(PrivacyParameters(action="redact"))}


def echoed(body: Body) -> bytes:
    """The last message, a character an event."""
    return streamed("big", *body["messages"][-1]["content"])


def echoed_whole(body: Body) -> bytes:
    return whole("big", body["messages"][-1]["content"])


def events(*choices: dict[str, Any], end: bytes = DONE) -> bytes:
    data = (json.dumps({"id": "c", "model": "big", "choices": [each]}) for each in choices)
    return head(SSE) + b"".join(f"data: {each}\n\n".encode() for each in data) + end


def part(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


def joined(reply: Any, field: Callable[[dict[str, Any]], Any], index: int = 0) -> str:
    """The parts of one text of a stream."""
    choices = (c for each in events_of(reply) for c in each.get("choices", ()))
    return "".join(field(c["delta"]) or "" for c in choices if c["index"] == index)


async def ask(
    answer: Callable[[Body], Any], text: str = QUESTION, **fields: Any
) -> tuple[Any, Any]:
    """The reply, and what the cloud was asked."""
    async with (
        scripted_side(answer) as cloud,
        gateway(cloud=cloud.url, guards=GUARDS) as client,
    ):
        reply = await client.post(PATH, json=chat(text, **fields))
    assert EMAIL not in json.dumps(cloud.asked) and CARD not in json.dumps(cloud.asked)
    return reply, cloud.asked


@pytest.mark.parametrize("answer", [echoed, echoed_whole])
@pytest.mark.parametrize("stream", [True, False])
async def test_a_private_question_leaves_with_placeholders_and_the_answer_has_the_items(
    answer: Callable[[Body], bytes], stream: bool
) -> None:
    """Whether the cloud streams as it was asked to, or not."""
    reply, asked = await ask(answer, stream=stream)
    assert [each["messages"][-1]["content"] for each in asked] == [HIDDEN]
    body = {} if stream else reply.json()
    said = text_of(reply) if stream else body["choices"][0]["message"]["content"]
    assert said == QUESTION
    told = hem_of(reply) if stream else body["hem"]
    assert told["redacted"] == {"email": 1, "card": 1}
    assert told["route"] == "cloud"


async def test_what_has_nothing_private_passes_byte_by_byte() -> None:
    reply, asked = await ask(answers(streamed("big", "a ", "<EMAIL_1>")), "hello")
    assert 'data: {"id": "c", "model": "big", "choices": [{"index": 0, "delta"' in reply.text
    assert text_of(reply) == "a <EMAIL_1>"
    assert "redacted" not in hem_of(reply)
    assert asked[0]["messages"] == [{"role": "user", "content": "hello"}]


async def test_several_choices_do_not_mix() -> None:
    sent = events(
        *(part(0, content="a <EMA"), part(1, content="b <CAR"), part(1, content="D_1>")),
        *(part(0, content="IL_1> c"), part(0, "stop"), part(1, "stop", content="!")),
    )
    reply, _ = await ask(answers(sent), n=2)
    assert joined(reply, lambda d: d.get("content"), 0) == f"a {EMAIL} c"
    assert joined(reply, lambda d: d.get("content"), 1) == f"b {CARD}!"


@pytest.mark.parametrize(
    "pieces",
    [
        ('{"to": "<EMA', 'IL_1>"}'),
        (r'{"to": "\u003', r"cEMAIL_1\u00", '3e"}'),
        tuple('{"to": "<EMAIL_1>"}'),
    ],
)
async def test_arguments_of_tools_have_the_items_as_json(pieces: tuple[str, ...]) -> None:
    """Some servers escape brackets there."""
    begins = {"index": 0, "id": "call_1", "function": {"name": "send", "arguments": ""}}
    calls = [part(tool_calls=[begins])]
    calls += [part(tool_calls=[{"index": 0, "function": {"arguments": p}}]) for p in pieces]
    reply, _ = await ask(answers(events(*calls, part(0, "tool_calls"))))

    def arguments(delta: dict[str, Any]) -> str:
        return "".join(c["function"].get("arguments", "") for c in delta.get("tool_calls", ()))

    assert json.loads(joined(reply, arguments)) == {"to": EMAIL}
    assert '"name":"send"' in reply.text.replace(" ", "")


async def test_an_item_with_quotes_is_escaped_in_arguments_and_in_answers_in_json(
    tmp_path: Path,
) -> None:
    words, item = tmp_path / "words", 'operation "blue\\7"'
    words.write_text(item)
    guard = PrivacyGuard(PrivacyParameters(action="redact", words=str(words)))
    call = {"id": "c", "function": {"name": "EMAIL_1", "arguments": '{"p": "<WORD_1>"}'}}
    message = {"role": "assistant", "content": '{"p": "<WORD_1>"}', "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    body = head() + json.dumps({"model": "big", "choices": [choice]}).encode()
    async with (
        scripted_side(answers(body)) as cloud,
        gateway(cloud=cloud.url, guards={"PrivacyGuard": guard}) as client,
    ):
        text, form = f"{EMAIL} {item}", {"type": "json_object"}
        reply = await client.post(PATH, json=chat(text, stream=False, response_format=form))
    message = reply.json()["choices"][0]["message"]
    assert json.loads(message["content"]) == {"p": item}
    function = message["tool_calls"][0]["function"]
    assert json.loads(function["arguments"]) == {"p": item}
    assert function["name"] == EMAIL


async def test_reasoning_has_the_items_too() -> None:
    sent = events(
        *(part(reasoning_content="To <EMAIL"), part(reasoning_content="_1>.")),
        *(part(reasoning="<CARD_1>"), part(0, "stop", content="Done")),
    )
    reply, _ = await ask(answers(sent))
    assert joined(reply, lambda d: d.get("reasoning_content")) == f"To {EMAIL}."
    assert joined(reply, lambda d: d.get("reasoning")) == CARD


@pytest.mark.parametrize("ends", ["with a reason", "without", "with the reason's own text"])
async def test_what_only_looked_like_a_beginning_comes_at_the_end(ends: str) -> None:
    last = {"with a reason": [part(0, "stop")], "without": []}
    parts = last.get(ends, [part(0, "stop", content="AIL")])
    reply, _ = await ask(answers(events(part(content="1 <EM"), *parts)))
    assert text_of(reply) == ("1 <EMAIL" if ends not in last else "1 <EM")
    assert reply.text.endswith("[DONE]\n\n")


async def test_completions_are_redacted_too() -> None:
    def answer(body: Body) -> bytes:
        choice = {"index": 0, "text": body["prompt"], "finish_reason": "stop"}
        return head() + json.dumps({"model": "big", "choices": [choice]}).encode()

    async with (
        scripted_side(answer) as cloud,
        gateway(cloud=cloud.url, guards=GUARDS) as client,
    ):
        reply = await client.post("/v1/completions", json={"model": "qa", "prompt": QUESTION})
        assert reply.json()["choices"][0]["text"] == QUESTION
        assert cloud.asked[0]["prompt"] == HIDDEN


async def test_the_ledger_and_the_metric_tell_kinds_and_numbers(tmp_path: Path) -> None:
    path = tmp_path / "egress.jsonl"
    async with (
        scripted_side(echoed) as cloud,
        gateway(cloud=cloud.url, guards=GUARDS, ledger=path) as client,
    ):
        for text in (QUESTION, "hello"):
            await client.post(PATH, json=chat(text))
    verdicts = [row["decision"]["guards"] for row in lines(path, "intent") if "decision" in row]
    assert verdicts == ["PrivacyGuard@1=redacted email=1 card=1", "PrivacyGuard@1=clear"]
    assert EMAIL not in path.read_text() and CARD not in path.read_text()
