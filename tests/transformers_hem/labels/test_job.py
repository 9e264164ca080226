"""A run from its file of questions to its labels, against servers that answer by script."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from predictors.contract import TELEMETRY
from predictors.errors import Cause, ConfigurationError, HEMError, UpstreamError
from tests.conftest import free_port
from tests.predictors.upstream.failing import failing
from tests.transformers_hem.labels.servers import Server, answered, query_of, says, serving
from transformers_hem.labels.asking import Models
from transformers_hem.labels.job import Job, Result, Watcher, label
from transformers_hem.labels.labels import read_labels

QUESTIONS = [{"id": i, "query": f"{i} + {i}", "reference": 2 * i} for i in range(12)]


def adds(body: dict[str, Any]) -> tuple[int, Any]:
    return answered(str(2 * int(query_of(body).split()[0])))


def adds_small(body: dict[str, Any]) -> tuple[int, Any]:
    """Right below 5."""
    number = int(query_of(body).split()[0])
    return answered(f"It is {2 * min(number, 4)}.")


@pytest.fixture
def edge() -> Iterator[Server]:
    with serving(adds_small) as server:
        yield server


@pytest.fixture
def cloud() -> Iterator[Server]:
    with serving(adds) as server:
        yield server


@pytest.fixture
def job(tmp_path: Path, edge: Server, cloud: Server) -> Job:
    write(tmp_path / "data", QUESTIONS)
    models = Models.at(edge.url, cloud.url, None, {"temperature": 0})
    return Job(tmp_path / "data", tmp_path / "out", "numeric", models=models, attempts=2)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def labels(job: Job) -> list[dict[str, Any]]:
    return [json.loads(line) for line in job.out.read_text().splitlines()]


async def run(job: Job) -> Result:
    return await label(job, Watcher())


async def test_labels_say_who_was_right_with_what_the_edge_thought_of_it(
    job: Job, edge: Server
) -> None:
    result = await run(job)
    rows = labels(job)
    assert [row["id"] for row in rows] == [row["id"] for row in QUESTIONS]
    assert rows[7] == {
        "id": 7,
        "query": "7 + 7",
        "reference": 14,
        "edge_answer": "It is 8.",
        "cloud_answer": "14",
        "edge_correct": False,
        "cloud_correct": True,
        "edge_mean_logprob": -0.5,
        "edge_min_logprob": -1.5,
        "cloud_mean_logprob": -0.5,
        "cloud_min_logprob": -1.5,
        "hard": True,
    }
    assert (result.asked, result.failures, result.summary.cloud) == (24, [], 1)
    assert result.summary.hard_share == pytest.approx(7 / 12)
    assert all(body["parameters"] == {"temperature": 0} for _, body in edge.requests)


async def test_training_reads_the_labels(job: Job) -> None:
    await run(job)
    read = read_labels(job.out)
    assert read.hard.tolist() == [row["hard"] for row in labels(job)]


async def test_graded_scores_are_written_as_scores(job: Job) -> None:
    await run(replace(job, scorer="token_f1", epsilon=0.9))
    rows = labels(job)
    assert rows[7]["edge_score"] == 0
    assert "edge_correct" not in rows[7]
    assert [row["hard"] for row in rows[:5]] == [False] * 5


async def test_the_same_job_again_asks_nothing(job: Job, edge: Server, cloud: Server) -> None:
    await run(job)
    before = job.out.read_bytes()
    result = await run(job)
    assert (result.asked, job.out.read_bytes()) == (0, before)
    assert set(edge.asked.values()) == set(cloud.asked.values()) == {1}


async def test_a_limit_can_be_raised_and_the_file_can_grow(job: Job, edge: Server) -> None:
    await run(replace(job, limit=3))
    assert len(labels(job)) == 3
    write(job.data, [{"id": 99, "query": "99 + 99", "reference": 198}, *QUESTIONS])
    result = await run(job)
    assert (result.asked, len(labels(job)), labels(job)[0]["id"]) == (20, 13, 99)
    assert set(edge.asked.values()) == {1}


async def test_rows_that_bring_their_answers_are_only_scored(job: Job, edge: Server) -> None:
    await run(job)
    again = replace(job, data=job.out, out=job.out.with_name("again"), models=None)
    result = await run(replace(again, scorer="exact_match"))
    assert result.asked == 0
    assert labels(again)[3]["edge_correct"] is False  # "It is 6." is not "6"
    assert labels(again)[3]["edge_mean_logprob"] == -0.5
    write(again.data, QUESTIONS)
    with pytest.raises(ConfigurationError, match="line 1: no 'edge_answer'; give --edge and"):
        await run(replace(again, out=job.out.with_name("more")))


async def test_answers_that_cannot_be_read_are_wrong_marked_and_counted(job: Job) -> None:
    texts = ["4", "no idea", "<think>The answer is 4", "", "It is 4.", "5"]
    rows = [
        {"id": i, "query": "2 + 2", "reference": "4", "edge_answer": text, "cloud_answer": "4"}
        for i, text in enumerate(texts)
    ]
    write(job.data, rows)
    result = await run(replace(job, models=None))
    assert [row["edge_correct"] for row in labels(job)] == [True, False, False, False, True, False]
    assert [row.get("edge_unread", False) for row in labels(job)] == [0, 1, 1, 1, 0, 0]
    assert not any("cloud_unread" in row for row in labels(job))
    assert (result.summary.edge_unread, result.summary.cloud_unread) == (3, 0)


@pytest.mark.parametrize("scorer", ["exact_match", "token_f1", "rouge_l"])
async def test_for_every_scorer_reasoning_is_no_answer(job: Job, scorer: str) -> None:
    row = {"query": "2 + 2", "reference": "4", "edge_answer": "<think>4", "cloud_answer": "4"}
    write(job.data, [row | {"id": 1}, row | {"id": 2, "edge_answer": "<think>5, or 6</think>4"}])
    result = await run(replace(job, models=None, scorer=scorer))
    assert (result.summary.edge, result.summary.cloud) == (0.5, 1)
    assert (result.summary.edge_unread, result.summary.cloud_unread) == (1, 0)


async def test_all_telemetry_that_a_row_brings_along_is_in_its_label(job: Job) -> None:
    row = {"id": 1, "query": "q", "reference": "1", "edge_answer": "1", "cloud_answer": "2"}
    row |= {f"edge_{name}": 3 for name in TELEMETRY} | {"cloud_time_to_first_token": 0.5}
    write(job.data, [row])
    await run(replace(job, models=None))
    assert labels(job) == [row | {"edge_correct": True, "cloud_correct": False, "hard": False}]


async def test_a_question_that_fails_is_listed_and_is_no_answer(
    job: Job, edge: Server, cloud: Server
) -> None:
    def fails(body: dict[str, Any]) -> tuple[int, Any]:
        bad = {3: (500, {"error": "too odd"}), 4: (200, b"garbage"), 5: (200, {"outputs": 1})}
        return bad.get(int(query_of(body).split()[0])) or adds(body)

    cloud.reply = fails
    result = await run(job)
    assert {failure.id for failure in result.failures} == {3, 4, 5}
    assert "answered 500: too odd" in next(f.reason for f in result.failures if f.id == 3)
    assert [row["id"] for row in labels(job)] == [0, 1, 2, 6, 7, 8, 9, 10, 11]
    assert set(cloud.asked.values()) == {1}  # none of these is tried again
    assert result.summary.missing == 3
    cloud.reply = adds
    assert (await run(job)).asked == 3  # the edge's answers are there already
    assert len(labels(job)) == 12
    assert set(edge.asked.values()) == {1}


@pytest.mark.parametrize("status", [429, 502, 503, 504])
async def test_what_may_pass_is_tried_again_a_few_times(
    job: Job, cloud: Server, status: int
) -> None:
    def busy(body: dict[str, Any]) -> tuple[int, Any]:
        second = cloud.asked[query_of(body)] > 1
        return adds(body) if second or query_of(body) != "5 + 5" else (status, {"error": "busy"})

    cloud.reply = busy
    assert (await run(job)).failures == []
    assert cloud.asked["5 + 5"] == 2


@pytest.mark.parametrize("status", [401, 404, 503])
async def test_a_server_that_cannot_be_used_is_told_at_the_first_question(
    job: Job, edge: Server, cloud: Server, status: int
) -> None:
    cloud.reply = lambda _: (status, {"error": "not you"})
    with pytest.raises(HEMError, match=f"answered {status}: not you"):
        await run(job)
    assert (len(edge.requests), len(cloud.requests)) == (1, 1)
    assert not job.out.exists()
    cloud.reply = adds
    assert (await run(job)).asked == 23


async def test_nobody_listening_is_told_at_once_and_leaves_nothing(job: Job, edge: Server) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}/v2/models/m/infer"
    models = Models.at(nowhere, edge.url, None, {})
    with failing(Cause.UNREACHABLE, match="can't be reached"):
        await run(replace(job, models=models))
    assert list(job.out.parent.iterdir()) == [job.data]


async def test_a_server_that_goes_away_ends_the_run_and_keeps_what_there_is(
    job: Job, cloud: Server
) -> None:
    def dies(body: dict[str, Any]) -> tuple[int, Any]:
        return adds(body) if len(cloud.requests) <= 3 else (503, {"error": "gone"})

    cloud.reply = dies
    result = await run(replace(job, concurrency=1, attempts=1))
    assert result.gone and "answered 503: gone" in result.gone
    assert (len(labels(job)), len(cloud.requests), result.summary.missing) == (3, 5, 9)


async def test_a_question_that_always_times_out_keeps_no_other_from_being_asked(
    job: Job, edge: Server
) -> None:
    def hangs(body: dict[str, Any]) -> tuple[int, Any]:
        if query_of(body).startswith("0 "):
            time.sleep(2)
        return adds_small(body)

    slow = replace(job, timeout=1.0, concurrency=1)
    await run(replace(slow, data=write(job.data.with_name("one"), QUESTIONS[1:2])))
    edge.reply = hangs
    result = await run(slow)
    assert [(f.id, "did not answer in time" in f.reason) for f in result.failures] == [(0, True)]
    assert [row["id"] for row in labels(job)] == list(range(1, 12))
    result = await run(slow)
    assert ([f.id for f in result.failures], result.gone, result.asked) == ([0], None, 1)


async def test_questions_that_failed_before_are_asked_after_the_others(
    job: Job, cloud: Server
) -> None:
    def busy(body: dict[str, Any]) -> tuple[int, Any]:
        stuck = query_of(body) in ("1 + 1", "2 + 2", "3 + 3")
        return (503, {"error": "busy"}) if stuck else adds(body)

    cloud.reply = busy
    alone = replace(job, concurrency=1, attempts=1)
    assert (await run(alone)).gone
    assert [row["id"] for row in labels(job)] == [0]
    result = await run(alone)
    assert [f.id for f in result.failures] == [3, 1, 2]
    assert [row["id"] for row in labels(job)] == [0, *range(4, 12)]


async def test_a_judge_that_fails_on_one_question_is_no_end_of_a_run_that_goes_on(
    job: Job,
) -> None:
    def overloaded(body: dict[str, Any]) -> tuple[int, Any]:
        stuck = "\n5 + 5\n" in body["messages"][-1]["content"]
        return (503, {"error": "busy"}) if stuck else says("Verdict: first")

    with serving(overloaded, "/v1") as judge:
        options = [f"url={judge.url}", "model=j", "attempts=1"]
        judged = replace(job, scorer="llm_judge", options=options)
        for _ in range(2):
            result = await run(judged)
            assert [f.id for f in result.failures] == [5]
            assert len(labels(job)) == 11


async def test_stopping_finishes_the_questions_in_flight(
    job: Job, edge: Server, cloud: Server
) -> None:
    stop, done = asyncio.Event(), 0

    def on_done() -> None:
        nonlocal done
        done += 1
        if done == 4:
            stop.set()

    watcher = Watcher(on_done=on_done, stop=stop)
    result = await label(replace(job, concurrency=3), watcher)
    assert len(labels(job)) == result.asked / 2 == done < 12
    assert (await run(job)).asked == 24 - result.asked
    assert set(edge.asked.values()) == set(cloud.asked.values()) == {1}


async def test_a_failing_judge_leaves_the_answers(job: Job, edge: Server, cloud: Server) -> None:
    said = iter(["Verdict: tie"] * 2 + ["well"] * 22)
    with serving(lambda _: says(next(said)), "/v1") as judge:
        judged = replace(job, scorer="llm_judge", options=[f"url={judge.url}", "model=j"])
        result = await run(judged)
        assert (len(labels(job)), len(result.failures)) == (1, 11)
        judge.reply = lambda _: says("Verdict: second")
        result = await run(judged)
    assert (result.asked, result.failures, len(labels(job))) == (0, [], 12)
    assert set(edge.asked.values()) == set(cloud.asked.values()) == {1}


async def test_a_verdict_that_is_paid_for_is_in_the_journal(job: Job) -> None:
    def one_order(body: dict[str, Any]) -> tuple[int, Any]:
        prompt = body["messages"][-1]["content"]
        lost = "[start of first answer]\n10\n" in prompt and "[start of question]\n5 " in prompt
        return (500, {"error": "lost"}) if lost else says("Verdict: first")

    with serving(one_order, "/v1") as judge:
        judged = replace(job, scorer="llm_judge", options=[f"url={judge.url}", "model=j"])
        assert [f.id for f in (await run(judged)).failures] == [5]
        assert len(judge.requests) == 2 * 12
        judge.reply = lambda _: says("Verdict: tie")
        assert (await run(judged)).failures == []
        assert len(judge.requests) == 2 * 12 + 1
    assert labels(job)[5]["edge_score"] == (1 + 0.5) / 2


class Graph:
    """Answers as qa does: both models behind one URL, and a cloud that can be lost."""

    cloud_up = True
    private = ""

    def reply(self, body: dict[str, Any]) -> tuple[int, Any]:
        prefer = body["parameters"]["hem_prefer"]
        if query_of(body) == self.private:
            return answered("0", "qa-edge", hem_route="edge", hem_reason="privacy")
        name = prefer if self.cloud_up else "edge"
        return answered(query_of(body), f"qa-{name}", hem_route=prefer, hem_reason="prefer")


async def test_a_graph_of_the_answer_stage_tells_no_route_of_the_cloud(job: Job) -> None:
    def reply(body: dict[str, Any]) -> tuple[int, Any]:
        routed = {} if body["parameters"]["hem_prefer"] == "cloud" else {"hem_route": "edge"}
        return answered(query_of(body), "qa-edge" if routed else "qa-cloud", **routed)

    with serving(reply, "/") as server:
        result = await run(replace(job, models=Models.at(None, None, server.url, {})))
    assert result.failures == []


async def test_a_predictor_is_no_graph(job: Job, edge: Server) -> None:
    with pytest.raises(UpstreamError, match="without hem_route; --url is for graphs"):
        await run(replace(job, models=Models.at(None, None, edge.url, {})))


async def test_a_graph_is_asked_with_prefer_and_must_answer_with_the_model_meant(
    job: Job,
) -> None:
    graph = Graph()
    graph.private = "2 + 2"
    with serving(graph.reply, "/") as server:
        through = replace(job, models=Models.at(None, None, server.url, {}))
        result = await run(through)
        assert [(f.id, f.reason.partition("answer, but ")[2]) for f in result.failures] == [
            (2, "it went to 'edge', reason 'privacy'")
        ]
        assert len(labels(job)) == 11
        graph.cloud_up = False
        write(job.data, [*QUESTIONS, {"id": 77, "query": "new", "reference": 1}])
        graph.private = ""
        result = await run(through)
    assert {f.id for f in result.failures} == {2, 77}
    for failure in result.failures:
        assert failure.reason.startswith("'qa-edge' answered for the cloud: the graph degraded")
    assert len(labels(job)) == 11


async def test_a_graph_that_has_degraded_is_told_at_the_first_question(job: Job) -> None:
    graph = Graph()
    graph.cloud_up = False
    with (
        serving(graph.reply, "/") as server,
        failing(Cause.UNREACHABLE, match="'qa-edge' answered for the cloud: the graph"),
    ):
        await run(replace(job, models=Models.at(None, None, server.url, {})))


@pytest.mark.parametrize(
    ("urls", "told"),
    [
        (("http://a/x", None, None), "give --edge and --cloud, or a graph's --url"),
        (("http://a/x", "http://b/x", "http://g"), "give --edge and --cloud, or a graph's --url"),
        (("http://a/x", "http://a/x", None), "--edge and --cloud are the same"),
        (("a:80", "http://b/x", None), "--edge 'a:80' is not a URL; e.g. http"),
        ((None, None, "ftp://g"), "--url 'ftp://g' is not a URL"),
    ],
)
def test_models_that_cannot_be_meant_are_refused(urls: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        Models.at(*urls, {})
