"""Both examples of self-design as `hem up` runs them: V2 through the graph, chats in streams."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from inferencegraph.read.documents import MANIFESTS
from predictors.contract import text_request
from predictors.embedded.workshop.questions import LONG, held_out_questions
from tests.inferencegraph.running_hem import RunningHem, hem
from tests.scripted_api import ScriptedAPI

pytestmark = pytest.mark.slow

QUESTIONS = [question.query for question in held_out_questions(8, seed=0, of=LONG)]
PRIVATE = "Shift by 3 seven times: ESOGAWUX. My card is 4111 1111 1111 1111."


def up(folder: str, *options: str) -> RunningHem:
    path = str(MANIFESTS / folder)
    return RunningHem(["--no-restart", "-f", path, *options], timeout=180)


def gateway(stack: RunningHem) -> str:
    (ready,) = [event for event in stack.events if event["event"] == "all_ready"]
    return str(ready["gateways"]["qa"])


def text_of(response: dict[str, Any]) -> str:
    (data,) = (each["data"] for each in response["outputs"] if each["name"] == "text_output")
    return str(data[0])


def outputs(response: dict[str, Any]) -> dict[str, Any]:
    return {each["name"]: each["data"][0] for each in response["outputs"]}


def streamed(
    stack: RunningHem, text: str, model: str = "qa", *, least: int = 2
) -> tuple[str, dict[str, Any]]:
    """The text, and the object `hem` of its end. It comes in `least` events, or more."""
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": text}]}
    reply = httpx.post(f"{gateway(stack)}/chat/completions", json=body, timeout=60)
    assert reply.status_code == 200, reply.text
    events = [
        json.loads(line[6:]) for line in reply.text.splitlines() if line.startswith("data: {")
    ]
    parts = [c["delta"].get("content") or "" for e in events for c in e["choices"]]
    assert len(events) >= least and reply.text.rstrip().endswith("[DONE]")
    return "".join(parts), next(each["hem"] for each in events if "hem" in each)


@pytest.fixture(scope="module")
def joint() -> Iterator[RunningHem]:
    """It always speculates: how fast this machine is decides nothing."""
    guarded = ("--set", "qa-edge.HEM_GUARDS=PrivacyGuard", "--set", "qa-edge.policy=always")
    with up("speculative", *guarded) as stack:
        yield stack


def test_answers_are_the_large_models_and_say_how_they_came_about(joint: RunningHem) -> None:
    (cloud,) = [
        e["url"] for e in joint.events if e["event"] == "started" and e["name"] == "qa-cloud"
    ]
    for question in QUESTIONS:
        alone = httpx.post(
            f"{cloud}/v2/models/qa-cloud/infer", json=text_request([question], {}), timeout=60
        )
        answer = joint.ask(question).json()
        assert text_of(answer) == text_of(alone.json())
        said, told = answer["parameters"], outputs(answer)
        assert (said["hem_route"], said["hem_strategy"]) == ("cloud", "speculative")
        assert (said["speculation"], said["served_by"]) == ("speculative", "qa-cloud")
        assert 0 < told["accepted_tokens"] <= told["drafted_tokens"]
        assert 0 < told["cloud_passes"] < told["completion_tokens"]


def test_a_chat_streams_what_v2_answers(joint: RunningHem) -> None:
    text, told = streamed(joint, QUESTIONS[0])
    assert text == text_of(joint.ask(QUESTIONS[0]).json())
    assert told["draft_rounds"] > 1
    assert (told["route"], told["strategy"], told["speculation"]) == (
        "cloud",
        "speculative",
        "speculative",
    )


def test_hem_ask_shows_what_was_drafted_and_taken(joint: RunningHem) -> None:
    said = hem("ask", QUESTIONS[0], "--url", joint.url).stdout
    assert "route cloud (strategy)" in said
    assert "served by qa-cloud" in said
    assert "speculation: speculative · " in said and "drafted tokens taken" in said
    assert "degraded" not in said


def test_at_the_edge_the_small_model_answers_alone(joint: RunningHem) -> None:
    answer = joint.ask(QUESTIONS[0], hem_prefer="edge").json()
    said, told = answer["parameters"], outputs(answer)
    assert (said["hem_route"], said["speculation"]) == ("edge", "edge")
    assert said["served_by"] == "qa-edge"
    assert (told["draft_rounds"], told["link_bytes_sent"]) == (0, 0)
    text, hem_ = streamed(joint, QUESTIONS[0], "qa-edge")
    assert (text, hem_["speculation"]) == (text_of(answer), "edge")


@pytest.mark.parametrize("prefer", [{}, {"hem_prefer": "cloud"}])
def test_what_is_private_is_not_drafted_for_the_cloud(
    joint: RunningHem, prefer: dict[str, str]
) -> None:
    answer = joint.ask(PRIVATE, **prefer).json()
    said = answer["parameters"]
    assert (said["hem_route"], said["hem_reason"]) == ("edge", "PrivacyGuard")
    assert (said["speculation"], outputs(answer)["link_bytes_sent"]) == ("edge", 0)
    assert streamed(joint, PRIVATE)[1]["speculation"] == "edge"


def test_where_the_cloud_is_lost_the_small_model_answers_and_says_so(joint: RunningHem) -> None:
    """The last one: it kills the cloud."""
    alone = text_of(joint.ask(QUESTIONS[0], hem_prefer="edge").json())
    joint.kill("qa-cloud")
    died = joint.wait_for("died")
    assert died["means"] == "the edge answers"
    answer = joint.ask(QUESTIONS[0])
    assert answer.status_code == 200
    said = answer.json()["parameters"]
    assert (said["hem_route"], said["speculation"]) == ("cloud", "edge")
    assert text_of(answer.json()) == alone
    text, hem_ = streamed(joint, QUESTIONS[0])
    assert (text, hem_["degraded"]) == (alone, "link")
    assert joint.ask(QUESTIONS[0], hem_prefer="cloud").status_code in (502, 503)
    body = {"model": "qa-cloud", "messages": [{"role": "user", "content": QUESTIONS[0]}]}
    for stream in (True, False):
        url = f"{gateway(joint)}/chat/completions"
        forced = httpx.post(url, json={**body, "stream": stream}, timeout=60)
        assert forced.status_code in (502, 503) and forced.json()["error"]["message"]
    told = hem("ask", QUESTIONS[0], "--url", joint.url).stdout
    assert "degraded: the cloud failed" in told


@pytest.fixture(scope="module")
def api() -> Iterator[ScriptedAPI]:
    with ScriptedAPI() as server:
        yield server


@pytest.fixture(scope="module")
def refining(api: ScriptedAPI) -> Iterator[RunningHem]:
    """The example, with a model that ships at the edge, and an API of this process."""
    edge = ("--set", "qa-edge.model_dir=embedded:edge", "--set", "qa-edge.temperature=0")
    uplink = ("--set", f"qa-uplink.url={api.url}", "--set", "qa-uplink.breaker_failures=0")
    unsure = ("--set", "qa-edge.HEM_THRESHOLD=0")
    with up("refine", *edge, *uplink, *unsure) as stack:
        yield stack


def test_the_api_is_asked_with_the_draft_and_its_answer_comes_back(
    refining: RunningHem, api: ScriptedAPI
) -> None:
    answer = refining.ask("What is 12 + 7?").json()
    assert text_of(answer) == "refined"
    assert answer["parameters"]["hem_strategy"] == "refine"
    shown = hem("ask", "What is 12 + 7?", "--url", refining.url).stdout
    assert "ConfidenceRouter · strategy refine · served by big" in shown
    prompt = api.asked[-1]["messages"][-1]["content"]
    assert prompt.startswith("What is 12 + 7?") and "<draft>" in prompt
    # Its events come together, and go on so.
    text, told = streamed(refining, "What is 12 + 7?", least=1)
    assert (text, told["served_by"], told["strategy"]) == ("refined", "big", "refine")
    assert api.asked[-1]["messages"][-1]["content"] == prompt


def test_where_the_api_fails_the_draft_is_the_answer(
    refining: RunningHem, api: ScriptedAPI
) -> None:
    draft = text_of(refining.ask("What is 12 + 7?", hem_prefer="edge").json())
    api.refuses = 503
    answer = refining.ask("What is 12 + 7?").json()
    assert (text_of(answer), answer["parameters"]["served_by"]) == (draft, "qa-edge")
    assert answer["parameters"]["hem_route"] == "cloud"
    text, told = streamed(refining, "What is 12 + 7?")
    assert (text, bool(told["degraded"])) == (draft, True)
    assert "degraded: the cloud failed" in hem("ask", "1 + 1?", "--url", refining.url).stdout
