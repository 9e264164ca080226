"""A client that asks again says something of the answer before."""

from pathlib import Path

import pytest

from tests.transformers_hem.feedback.collecting import collecting
from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import scripted_side, streamed, whole
from tests.transformers_hem.gateway.test_cascade import UNSURE, whole_answer
from transformers_hem.feedback.place import read_place
from transformers_hem.feedback.reading import examples, reading
from transformers_hem.feedback.signals import SECONDS, Noticed, Signals

QUESTION = "How many legs does a spider have in all"


def test_the_same_again_is_a_retry_and_nearly_the_same_a_re_ask() -> None:
    signals = Signals()
    assert signals.asked("c1", "r1", 0.0, QUESTION) is None
    assert signals.asked("c1", "r2", 1.0, QUESTION.upper()) == Noticed("r1", "retry")
    other = QUESTION.replace("in all", "altogether")
    assert signals.asked("c1", "r3", 2.0, other) == Noticed("r2", "re_ask")
    assert signals.asked("c1", "r4", 3.0, "Who wrote Faust?") is None


def test_others_and_later_questions_say_nothing() -> None:
    signals = Signals()
    signals.asked("c1", "r1", 0.0, QUESTION)
    assert signals.asked("c2", "r2", 1.0, QUESTION) is None
    assert signals.asked("c1", "r3", SECONDS + 1, QUESTION) is None
    assert signals.asked("", "r4", 1.0, QUESTION) is None
    assert signals.asked("", "r5", 1.0, QUESTION) is None


async def test_a_retry_at_the_gateway_is_kept_for_the_request_before(tmp_path: Path) -> None:
    path = tmp_path / "feedback.db"
    async with (
        scripted_side(lambda _: streamed("small", "8")) as edge,
        collecting(str(path)) as (_, service),
        gateway(edge=edge.url, algorithm="EdgeOnly", recorder=service.recorder) as client,
    ):
        for number in (1, 2):
            headers = {"authorization": "Bearer k", "x-request-id": f"r{number}"}
            reply = await client.post("/v1/chat/completions", json=chat(QUESTION), headers=headers)
            assert reply.status_code == 200
    with reading(read_place(str(path))) as connection:
        (example,) = examples(connection)
    assert (example.decided.request_id, example.feedback.signal) == ("r1", "retry")
    assert example.scores == (None, None)


@pytest.mark.parametrize(("cloud_says", "same"), [("W0  w1", True), ("w0 w2", False)])
async def test_an_escalation_that_changes_nothing_is_kept(
    tmp_path: Path, cloud_says: str, same: bool
) -> None:
    path = tmp_path / "feedback.db"
    async with (
        scripted_side(lambda _: whole_answer(UNSURE, UNSURE)) as edge,
        scripted_side(lambda _: whole("big", cloud_says)) as cloud,
        collecting(str(path)) as (_, service),
        gateway(
            edge=edge.url,
            cloud=cloud.url,
            algorithm="ConfidenceRouter",
            recorder=service.recorder,
        ) as client,
    ):
        body = chat(QUESTION, stream=False)
        reply = await client.post("/v1/chat/completions", json=body)
        assert reply.headers["x-hem-route"] == "cloud"
    with reading(read_place(str(path))) as connection:
        found = [example.feedback.signal for example in examples(connection)]
    assert found == (["same_answer"] if same else [])
