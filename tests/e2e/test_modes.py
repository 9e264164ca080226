"""Both modes on real models through real KServe servers: a query comes in and is answered, also
while the cloud is killed, by the edge."""

import asyncio
import json
import signal
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from predictors.contract import (
    CLOUD,
    EDGE,
    HEM_PREFER,
    HEM_ROUTE,
    SERVED_BY,
    Scalar,
    text_request,
)
from predictors.embedded.workshop.questions import test_questions as shipped_questions
from predictors.upstream.ask import Reply, ask as ask_upstream
from predictors.upstream.attempt import error_reason
from predictors.upstream.client import build_client
from tests.inferencegraph.running_hem import RunningHem, hem, still_there

pytestmark = pytest.mark.slow

READY_WITHIN_SECONDS = 40
RESIDENT_BELOW_BYTES = 2.5e9
SERVERS = {EDGE: "qa-edge", CLOUD: "qa-cloud"}
# Of the outage.
REQUESTS, KILLED_AFTER, AT_A_TIME = 200, 40, 8


@dataclass(frozen=True)
class Answered:
    query: str
    texts: list[str]
    route: str
    served_by: str


def ask(stack: RunningHem, *queries: str, **parameters: Scalar) -> Answered:
    """In the answer stage the cloud sees the client's own request, so only an answer of the edge
    says how it was routed."""
    response = stack.ask(*queries, **parameters)
    assert response.status_code == 200, error_reason(response.content)
    body = response.json()
    texts = next(out["data"] for out in body["outputs"] if out["name"] == "text_output")
    said = body["parameters"]
    return Answered(queries[0], texts, said.get(HEM_ROUTE, CLOUD), said[SERVED_BY])


@pytest.fixture(scope="module")
def answers(stack: RunningHem) -> list[Answered]:
    """Test questions of every family and difficulty, as mining routed them."""
    return [ask(stack, question.query) for question in shipped_questions()[:60]]


def one_routed(answers: list[Answered], route: str) -> str:
    return next(answer.query for answer in answers if answer.route == route)


def test_the_stack_is_ready_in_time_and_small(stack: RunningHem) -> None:
    """In time: on one idle core at worst; how long it took here depends on what else runs."""
    family = stack.family()
    resident = sum(process.memory_info().rss for process in family)
    worked = sum(sum(process.cpu_times()[:2]) for process in family)
    about = f"ready after {stack.ready_seconds:.1f} s, {worked:.1f} s of CPU by now"
    print(f"{about}, {resident / 1e9:.2f} GB resident")
    assert worked < READY_WITHIN_SECONDS
    assert resident < RESIDENT_BELOW_BYTES


def test_easy_queries_stay_at_the_edge_and_hard_ones_go_to_the_cloud(
    answers: list[Answered],
) -> None:
    assert {answer.route for answer in answers} == {EDGE, CLOUD}
    assert all(answer.served_by == SERVERS[answer.route] for answer in answers)


@pytest.mark.parametrize("side", [EDGE, CLOUD])
def test_the_caller_can_overrule_mining(
    stack: RunningHem, answers: list[Answered], side: str
) -> None:
    other = EDGE if side == CLOUD else CLOUD
    answer = ask(stack, one_routed(answers, other), hem_prefer=side)
    assert answer.served_by == SERVERS[side]


def test_a_batch_is_answered_row_by_row_and_routed_whole(
    stack: RunningHem, answers: list[Answered]
) -> None:
    easy, hard = one_routed(answers, EDGE), one_routed(answers, CLOUD)
    alone = next(answer for answer in answers if answer.query == easy)
    together = ask(stack, easy, easy, easy)
    assert (together.route, together.texts) == (EDGE, alone.texts * 3)
    mixed = ask(stack, easy, hard, easy)
    assert (mixed.served_by, len(mixed.texts)) == (SERVERS[CLOUD], 3)


def test_the_same_question_gets_the_same_answer(stack: RunningHem, answers: list[Answered]) -> None:
    first = answers[0]
    assert ask(stack, first.query).texts == first.texts


BAD_BODIES = {
    "malformed JSON": b'{"inputs": [',
    "no inputs": b"{}",
    "empty inputs": b'{"inputs": []}',
    "an empty query": json.dumps(text_request([""])).encode(),
    "a wrong shape": json.dumps(text_request(["a"])).replace("[1]", "[2]").encode(),
    "a wrong datatype": json.dumps(text_request(["a"])).replace("BYTES", "FP32").encode(),
    "a temperature out of range": json.dumps(text_request(["a"], {"temperature": 9})).encode(),
    "an unknown side": json.dumps(text_request(["a"], {"hem_prefer": "moon"})).encode(),
    "not UTF-8": b'{"inputs": [{"name": "text_input", "data": ["\xff"]}]}',
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES.keys())
def test_a_bad_request_is_told_what_is_wrong_and_the_next_one_works(
    stack: RunningHem, body: bytes
) -> None:
    response = httpx.post(stack.url, content=body, headers={"Content-Type": "application/json"})
    assert 400 <= response.status_code < 500, response.text
    assert response.json()["error"]
    assert ask(stack, "1 + 1").texts


@pytest.mark.timeout(900)
@pytest.mark.parametrize("questions", [300, pytest.param(1000, marks=pytest.mark.soak)])
def test_routing_keeps_the_clouds_accuracy_with_much_at_the_edge(
    stack: RunningHem, tmp_path: Path, questions: int
) -> None:
    options = ["--limit", str(questions), "--concurrency", "16", "--out", str(tmp_path / "out")]
    result = hem("evaluate", "--url", stack.url, "--json", *options, timeout=900)
    assert result.returncode == 0, result.stderr
    facts = json.loads(result.stdout)
    routed = facts["runs"]["routed"]
    assert facts["questions"] == questions
    assert facts["errors"] == {}
    assert routed["kept"] >= 0.95
    assert routed["edge_share"] >= 0.40


def test_asking_from_the_command_line(stack: RunningHem) -> None:
    facts = json.loads(hem("ask", "1 + 1", "--url", stack.url, "--json").stdout)
    assert facts["answer"]
    assert facts["served_by"] in SERVERS.values()


def test_labels_are_made_of_both_models_answers(stack: RunningHem, tmp_path: Path) -> None:
    asked = shipped_questions()[::100]
    rows = [{"id": q.id, "query": q.query, "reference": q.answer} for q in asked]
    (tmp_path / "questions").write_text("".join(json.dumps(row) + "\n" for row in rows))
    files = ["--data", str(tmp_path / "questions"), "--out", str(tmp_path / "labels")]
    result = hem("label", "--url", stack.url, "--scorer", "exact_match", "--json", *files)
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["asked"] == 2 * len(asked)
    labels = [json.loads(line) for line in (tmp_path / "labels").read_text().splitlines()]
    for row, question in zip(labels, asked, strict=True):
        for side in (EDGE, CLOUD):
            (text,) = ask(stack, question.query, hem_prefer=side).texts
            assert row[f"{side}_answer"] == text
            assert row[f"{side}_correct"] == (text.strip() == question.answer)
        assert row["edge_mean_logprob"] <= 0 < row["cloud_completion_tokens"]


async def ask_while_the_cloud_dies(stack: RunningHem) -> list[Reply]:
    """Everything is asked of the cloud, so that the outage meets every query."""
    places, answered = asyncio.Semaphore(AT_A_TIME), asyncio.Event()
    queries = [question.query for question in shipped_questions()[:REQUESTS]]
    done = 0

    async def one(client: httpx.AsyncClient, query: str) -> Reply:
        nonlocal done
        async with places:
            reply = await ask_upstream(client, stack.url, [query], {HEM_PREFER: "cloud"})
        done += 1
        if done == KILLED_AFTER:
            answered.set()
        return reply

    async with build_client(60) as client, asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(client, query)) for query in queries]
        await answered.wait()
        stack.kill("qa-cloud")
    return [task.result() for task in tasks]


async def test_an_outage_of_the_cloud_loses_no_query(stack: RunningHem) -> None:
    """Last: nobody starts the cloud again."""
    replies = await ask_while_the_cloud_dies(stack)
    servers = [reply.answers[0].served_by for reply in replies]
    assert len(servers) == REQUESTS
    assert set(servers) == {"qa-cloud", "qa-edge"}
    assert servers.count("qa-edge") >= REQUESTS - KILLED_AFTER - AT_A_TIME
    died = stack.wait_for("died")
    assert (died["name"], died["reason"]) == ("qa-cloud", "signal SIGKILL")

    family = stack.family()
    assert stack.stop(signal.SIGINT) < 5
    assert still_there(family) == []
