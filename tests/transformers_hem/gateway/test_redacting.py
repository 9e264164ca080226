"""What is private leaves as placeholders, and the caller's answer has it again."""

import json

from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import (
    Body,
    scripted_side,
    streamed,
    whole,
)
from tests.transformers_hem.gateway.test_failover import EDGE, PATH, answers, events_of, text_of
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.guard import PrivacyGuard

CARD = "4111 1111 1111 1111"
EMAIL = "anna@example.com"
GUARDS = {"PrivacyGuard": PrivacyGuard(PrivacyParameters(action="redact"))}


def echoed(body: Body) -> bytes:
    """The last message, a character an event."""
    return streamed("big", *body["messages"][-1]["content"])


def echoed_whole(body: Body) -> bytes:
    return whole("big", body["messages"][-1]["content"])


async def test_a_private_question_leaves_with_placeholders_and_its_answer_has_the_items() -> None:
    question = f"Write to {EMAIL}, card {CARD}; again: {EMAIL}."
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(echoed) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=GUARDS) as client,
    ):
        reply = await client.post(PATH, json=chat(question))
        assert text_of(reply) == question
        (asked,) = cloud.asked
        assert asked["messages"][-1]["content"] == (
            "Write to <EMAIL_1>, card <CARD_1>; again: <EMAIL_1>."
        )
        told = next(each["hem"] for each in events_of(reply) if "hem" in each)
        assert told["redacted"] == {"email": 1, "card": 1}
        assert edge.asked == []


async def test_so_does_an_answer_that_comes_whole() -> None:
    question = f"Write to {EMAIL}."
    async with (
        scripted_side(echoed_whole) as cloud,
        gateway(cloud=cloud.url, guards=GUARDS) as client,
    ):
        reply = await client.post(PATH, json=chat(question, stream=False))
        assert reply.json()["choices"][0]["message"]["content"] == question
        assert EMAIL not in json.dumps(cloud.asked)
