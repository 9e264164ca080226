"""Whatever becomes of a private chat, nothing that we send, log, count or tell others has the item:
where it is kept at the edge, and where it leaves with placeholders."""

import json
import logging

import pytest
from prometheus_client import generate_latest

from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import Body, refused, scripted_side, streamed
from tests.transformers_hem.gateway.test_failover import (
    EDGE,
    PATH,
    Sent,
    answers,
    begun,
    hem_of,
    text_of,
)
from tests.transformers_hem.gateway.test_privacy import SECRET, WAYS
from tests.transformers_hem.gateway.test_redacting import echoed
from tests.transformers_hem.gateway.test_sentences import BY_SENTENCE, HARD, MIXED, says
from transformers_hem.gateway.hedging import FEWEST
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.guard import PrivacyGuard

KEEP = {"PrivacyGuard": PrivacyGuard(PrivacyParameters())}
REDACT = {"PrivacyGuard": PrivacyGuard(PrivacyParameters(action="redact"))}
QUESTION = f"my card is {SECRET}"
HIDDEN = "my card is <CARD_1>"
# What the cloud makes of it: an answer, or a failure that repeats the question.
CLOUDS = {
    "echoes": echoed,
    "fails": lambda body: refused(500, body["messages"][-1]["content"]),
    "can't take it": lambda body: refused(
        400, body["messages"][-1]["content"], code="context_length_exceeded"
    ),
    "breaks off": lambda body: begun("one ", body["messages"][-1]["content"][:14]),
}


def parrot(answer: Sent) -> Sent:
    """An edge that fails repeats the question, as some servers do."""
    if isinstance(answer, bytes) and b'"error"' in answer:
        return answer.replace(b'"no"', json.dumps(QUESTION).encode())
    return answer


# Each way with a cloud that answers, and the other clouds where most may go wrong.
CASES = [(way, "echoes", stream) for way in WAYS for stream in (True, False)]
CASES += [
    (way, cloud, True)
    for way in ("the algorithm", "an edge that fails", "sentence by sentence")
    for cloud in CLOUDS
    if cloud != "echoes"
]


@pytest.mark.parametrize(("way", "cloud_side", "stream"), CASES)
async def test_the_item_is_in_nothing_that_leaves_and_in_no_log(
    way: str, cloud_side: str, stream: bool, caplog: pytest.LogCaptureFixture
) -> None:
    answer, model, headers, options = WAYS[way]
    caplog.set_level(logging.DEBUG)
    async with (
        scripted_side(answers(parrot(answer))) as edge,
        scripted_side(CLOUDS[cloud_side]) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=REDACT, **options) as client,
    ):
        if "sticky" in options:
            await client.post(PATH, json=chat(model="qa-cloud"), headers=headers)
        body = chat(QUESTION, model=model, stream=stream)
        reply = await client.post(PATH, json=body, headers=headers)
    assert SECRET not in json.dumps(cloud.asked)
    assert cloud.asked
    if cloud_side == "echoes" and stream and cloud.asked[-1]["messages"][-1]["content"] == HIDDEN:
        assert text_of(reply) == QUESTION
        assert hem_of(reply)["redacted"] == {"card": 1}
    assert SECRET not in caplog.text
    assert SECRET not in generate_latest().decode()


@pytest.mark.parametrize("way", [way for way, (answer, *_) in WAYS.items() if "fails" in way])
async def test_where_it_is_kept_a_failing_edge_puts_it_in_no_log(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer, model, headers, options = WAYS[way]
    caplog.set_level(logging.DEBUG)
    async with (
        scripted_side(answers(parrot(answer))) as edge,
        gateway(edge=edge.url, guards=KEEP, **options) as client,
    ):
        reply = await client.post(PATH, json=chat(QUESTION, model=model), headers=headers)
    assert '"error"' in reply.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize("guards", [KEEP, REDACT], ids=["keep", "redact"])
async def test_others_do_not_read_it_in_the_error_of_a_breaker(
    guards: dict[str, PrivacyGuard], caplog: pytest.LogCaptureFixture
) -> None:
    limits = {"breaker_failures": 2}

    def repeats(body: Body) -> bytes:
        return refused(500, body["messages"][-1]["content"])

    async with (
        scripted_side(repeats) as edge,
        gateway(edge=edge.url, guards=guards, limits=limits) as client,
    ):
        for _ in range(3):
            await client.post(PATH, json=chat(QUESTION, model="qa-edge"))
        reply = await client.post(PATH, json=chat("hello", model="qa-edge"))
    assert reply.status_code == 503 and "500" in reply.text
    assert SECRET not in reply.text
    assert SECRET not in caplog.text


async def test_an_id_of_the_callers_that_is_private_is_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(echoed) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=REDACT) as client,
    ):
        headers = {"x-request-id": "anna@example.com"}
        assert text_of(await client.post(PATH, json=chat(), headers=headers)) == "the edge"
        assert cloud.asked == []
    assert "reason=PrivacyGuard" in caplog.text
    assert "anna" not in caplog.text


async def test_the_cloud_goes_on_behind_an_edges_sentence_with_the_same_placeholders() -> None:
    """The edge said the item; the cloud gets its placeholder in question and beginning alike."""
    answer = says(HARD, (f"It is {SECRET}. ", "Two. ", "Three. ", "Four."))

    def goes_on(body: Body) -> bytes:
        return streamed("big", "Not <CA", "RD_1>, ", "<CARD_2>.")

    async with (
        scripted_side(answers(answer)) as edge,
        scripted_side(goes_on) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=REDACT, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat(QUESTION), headers=MIXED)
    assert text_of(reply) == f"It is {SECRET}. Two. Not {SECRET}, <CARD_2>."
    begins = cloud.asked[0]["messages"]
    assert begins[0]["content"] == HIDDEN
    assert begins[1]["content"] == "It is <CARD_1>. Two. "


async def test_an_item_that_only_the_edge_said_leaves_as_a_placeholder() -> None:
    answer = says(HARD, (f"It is {SECRET}. ", "Two. ", "Three. ", "Four."))
    async with (
        scripted_side(answers(answer)) as edge,
        scripted_side(answers(streamed("big", "Yes, <CARD_1>"))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=REDACT, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat("hello"), headers=MIXED)
    assert cloud.asked[0]["messages"][1]["content"] == "It is <CARD_1>. Two. "
    assert text_of(reply) == f"It is {SECRET}. Two. Yes, {SECRET}"


@pytest.mark.parametrize("guards", [KEEP, REDACT], ids=["keep", "redact"])
async def test_an_item_in_pieces_of_the_edges_stream_does_not_leave(
    guards: dict[str, PrivacyGuard],
) -> None:
    pieces = (f"It is {SECRET[:10]}", f"{SECRET[10:]}. ", "Three. ", "Four.")
    async with (
        scripted_side(answers(says(HARD, pieces))) as edge,
        scripted_side(answers(streamed("big", "Yes, <CARD_1>"))) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=guards, **BY_SENTENCE) as client,
    ):
        reply = await client.post(PATH, json=chat("hello"), headers=MIXED)
    if guards is KEEP:
        assert cloud.asked == []
        assert text_of(reply) == "".join(pieces)
    else:
        assert cloud.asked[0]["messages"][1]["content"] == "It is <CARD_1>. "
        assert text_of(reply) == f"It is {SECRET}. Yes, {SECRET}"


@pytest.mark.parametrize("cut", [5, 14, 16, 19, 30])
async def test_the_edge_goes_on_behind_what_the_caller_has_of_the_clouds_answer(cut: int) -> None:
    """Also where that broke off within a placeholder."""
    said = f"{HIDDEN}, is it"

    def breaks(body: Body) -> bytes:
        return begun(*said[:cut])

    async with (
        scripted_side(answers(streamed("small", " - the end"))) as edge,
        scripted_side(breaks) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=REDACT) as client,
    ):
        reply = await client.post(PATH, json=chat(QUESTION), headers=MIXED)
    whole_parts = said[:cut].replace("<CARD_1>", SECRET).partition("<")[0]
    assert edge.asked[0]["messages"][0]["content"] == QUESTION
    assert edge.asked[0]["messages"][-1]["content"] == whole_parts
    assert text_of(reply) == f"{whole_parts} - the end"


async def test_an_edge_that_is_hedged_has_the_question_and_the_cloud_its_placeholders() -> None:
    slow = {"slow": False}

    def ends(body: Body) -> bool:
        return not slow["slow"]

    def answered(body: Body) -> Sent:
        return b"" if slow["slow"] else EDGE

    options = {"algorithm": "EdgeOnly", "hedge_percentile": 50.0}
    async with (
        scripted_side(answered, ends=ends) as edge,
        scripted_side(echoed) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=REDACT, **options) as client,
    ):
        for _ in range(FEWEST):
            await client.post(PATH, json=chat())
        slow["slow"] = True
        reply = await client.post(PATH, json=chat(QUESTION))
    assert text_of(reply) == QUESTION
    assert edge.asked[-1]["messages"][0]["content"] == QUESTION
    assert cloud.asked[-1]["messages"][0]["content"] == HIDDEN


async def test_a_conversation_is_redacted_each_time_and_stays_where_it_was() -> None:
    """One that could not be redacted is kept from then on."""
    image = [{"type": "image_url", "image_url": {"url": "x"}}]
    turns = [QUESTION, "hi", QUESTION]
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(echoed) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, guards=REDACT, private="header") as client,
    ):
        headers = {"x-session-id": "a"}
        said = [text_of(await client.post(PATH, json=chat(t), headers=headers)) for t in turns]
        assert said == turns
        for content in (image, "hi"):
            body = {**chat(), "messages": [{"role": "user", "content": content}]}
            said.append(text_of(await client.post(PATH, json=body, headers=headers)))
    assert said[3:] == ["the edge", "the edge"]
    assert SECRET not in json.dumps(cloud.asked)
