"""Whole estimates on scripted edges: asked alone, failing, stopped and gone on with."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.evaluate.estimating.aim import Aim
from inferencegraph.evaluate.estimating.edge import open_edge
from inferencegraph.evaluate.estimating.job import Job, Watcher, estimate, require_query_stage
from inferencegraph.evaluate.estimating.labelling import Stopped
from inferencegraph.evaluate.estimating.log import read_log
from inferencegraph.evaluate.estimating.report import write_report
from inferencegraph.evaluate.estimating.result import Estimate
from inferencegraph.evaluate.estimating.savings import Pricing
from inferencegraph.evaluate.importing.run import Job as Import, import_rows
from predictors.errors import ConfigurationError, UpstreamError
from predictors.jsonl import read_rows
from predictors.prices import Price, Prices
from tests.transformers_hem.labels.servers import Server, answered, query_of, serving
from transformers_hem.labels.scorers.options import make_scorer
from transformers_hem.routers.scoring import open_router

ROWS = 240
FAILING = 7  # each such question is one that the edge fails on


def is_hard(number: int) -> bool:
    return number % 3 == 0


def edge(body: dict[str, Any]) -> tuple[int, Any]:
    """Right but where the query says that it is hard."""
    text = query_of(body)
    return answered("no idea" if "hard" in text else "right", "small", hem_route="edge")


def failing_edge(body: dict[str, Any]) -> tuple[int, Any]:
    if int(query_of(body).split()[-1]) % FAILING == 1:
        return 500, {"error": "out of memory"}
    return edge(body)


def chats(body: dict[str, Any]) -> tuple[int, Any]:
    text = body["messages"][-1]["content"]
    said = "no idea" if "hard" in text else "right"
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    message = {"role": "assistant", "content": said}
    return 200, {
        "model": body["model"],
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": usage,
    }


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(edge) as running:
        yield running


@pytest.fixture
def log(tmp_path: Path) -> Path:
    kinds = ("an easy thing, number {}", "a hard and difficult thing, number {}")
    rows = [
        {
            "id": number,
            "query": kinds[is_hard(number)].format(number),
            "reference": "right",
            "cloud_answer": "right",
            "cloud_prompt_tokens": 100,
            "cloud_completion_tokens": 50,
            "cloud_latency": 2.0,
            "cloud_model": "large",
        }
        for number in range(ROWS)
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "log.jsonl"


def job(log: Path, url: str | None, aim: Aim | None = None, **others: Any) -> Job:
    scorer = make_scorer("exact_match", ())
    model = "small" if url and url.endswith("/v1") else None
    asked = open_edge(url, model, "", {}, 10, 1) if url else None
    aim = aim or Aim.of(0.1, None, None, None)
    read = read_log(log, scorer, "exact_match")
    return Job(read, log.parent / "out", aim, scorer, "exact_match", asked, **others)


def run(given: Job, watcher: Watcher | None = None) -> Estimate:
    async def found() -> Estimate:
        return await estimate(given, watcher or Watcher())

    return asyncio.run(found())


PRICES = Prices(currency="EUR", models={"large": Price(input=10, output=30)})


def test_from_a_log_to_a_decision_with_the_edge_asked_alone(log: Path, server: Server) -> None:
    given = job(log, server.url, pricing=Pricing("EUR", prices=PRICES), per_month=10_000)
    found = run(given)
    assert found.threshold is not None and found.ended == "precise"
    assert found.edge_share == pytest.approx(2 / 3, abs=0.06)  # what the cloud is not needed for
    assert found.counts.asked == len(server.requests) == found.counts.labels < 0.6 * ROWS
    assert max(server.asked.values()) == 1
    assert found.savings is not None
    assert found.savings.spent == pytest.approx((100 * 10 + 50 * 30) / 1e6)
    assert found.savings.saved == pytest.approx(found.edge_share * found.savings.spent)
    assert found.latency is not None and found.latency.cloud_median == 2.0
    assert "At a loss of quality of at most 0.1 with confidence 0.9 you keep" in found.text()
    router = open_router(str(given.out / "router"))
    assert router.calibrated is not None and router.calibrated.calibration is not None
    assert router.calibrated.served_threshold == found.threshold
    assert router.calibrated.calibration.promise == found.headline()
    write_report(found, given)
    facts = json.loads((given.out / "estimate.json").read_text())
    assert facts["promised"] and facts["edge_share"] == found.edge_share
    assert facts["share_interval"] == list(found.share_interval or ())
    rows = [row for _, row in read_rows(given.out / "rows.jsonl")]
    assert len(rows) == found.counts.labels
    assert all(row["edge_correct"] is not is_hard(row["id"]) for row in rows)
    assert all(row["edge_latency"] > 0 for row in rows)


@pytest.mark.parametrize("kind", ["graph", "chats"])
def test_a_graph_and_openais_api_are_asked_in_their_own_ways(log: Path, kind: str) -> None:
    path, reply = ("/", edge) if kind == "graph" else ("/v1", chats)
    with serving(reply, path) as server:
        found = run(job(log, server.url))
    assert found.threshold is not None and found.counts.failed == 0
    _, body = server.requests[0]
    if kind == "graph":
        assert body["parameters"]["hem_prefer"] == "edge"
    else:
        assert body["model"] == "small"


def test_what_fails_counts_as_wrong_is_shown_and_is_tried_again(log: Path) -> None:
    aim = Aim.of(0.3, None, 0.0, None, training_rows=100)  # which takes the whole log
    with serving(failing_edge) as server:
        given = job(log, server.url, aim)
        found = run(given)
        failed = [row for _, row in read_rows(given.out / "rows.jsonl") if "failed" in row]
        assert found.counts.failed == len(failed) > 10
        assert not any(row["edge_correct"] for row in failed)
        assert all("out of memory" in row["failed"] for row in failed)
        assert f"{len(failed)} of {found.counts.labels} got no answer of the edge" in found.text()
        before = len(server.requests)
        server.reply = edge
        again = run(job(log, server.url, aim))
        assert again.counts.failed == 0
        assert again.counts.asked == len(server.requests) - before >= len(failed)
        assert max(server.asked.values()) == 2


def test_an_edge_that_is_gone_ends_it_and_leaves_nothing(log: Path, server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(UpstreamError, match="can't be reached"):
        run(job(log, server.url))
    assert not (log.parent / "out").exists()


def test_stopped_and_started_again_it_asks_nothing_twice_and_finds_the_same(
    log: Path, server: Server
) -> None:
    whole = run(job(log, server.url))
    asked = len(server.requests)
    for each in (log.parent / "out").iterdir():
        if each.is_file():
            each.unlink()
    server.requests.clear()
    watcher = Watcher(on_done=lambda task: watcher.stop.set() if server.requests[30:] else None)
    with pytest.raises(Stopped):
        run(job(log, server.url), watcher)
    assert 30 < len(server.requests) < 60
    again = run(job(log, server.url))
    assert len(server.requests) == asked
    assert max(server.asked.values()) == 1
    assert (again.threshold, again.curve) == (whole.threshold, whole.curve)
    # Another limit needs no answer again, nor the edge.
    assert run(job(log, server.url, Aim.of(0.2, None, None, None))).counts.asked <= ROWS - asked


def test_stopped_while_it_tests_it_says_what_it_knows(log: Path, server: Server) -> None:
    watcher = Watcher(on_look=lambda words: watcher.stop.set())
    found = run(job(log, server.url, Aim.of(0.02, None, None, None)), watcher)
    assert found.ended == "stopped" and found.counts.tested == ROWS // 2 - found.counts.training
    assert "then it was stopped" in found.text()


def test_another_scorer_does_not_take_over_the_scores(log: Path, server: Server) -> None:
    run(job(log, server.url))
    scorer = make_scorer("token_f1", ())
    other = job(log, server.url)
    other = Job(
        read_log(log, scorer, "token_f1"), other.out, other.aim, scorer, "token_f1", other.edge
    )
    with pytest.raises(ConfigurationError, match="was begun with scorer 'exact_match'"):
        run(other)


def test_where_both_always_do_as_well_there_is_nothing_to_tell_apart(
    log: Path, server: Server
) -> None:
    server.reply = lambda body: answered("right", "small")
    with pytest.raises(ConfigurationError, match=r"better on 0 of 60.*edge alone loses"):
        run(job(log, server.url))


def test_recorded_answers_of_the_edge_need_no_edge(log: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"line \d+: no 'edge_answer'; give --edge"):
        run(job(log, None))
    rows = [row for _, row in read_rows(log)]
    for row in rows:
        row["edge_answer"] = "wrong" if is_hard(row["id"]) else "right"
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = run(job(log, None, Aim.of(None, 0.65, 0.1, None)))
    assert found.loss_interval is not None and found.loss_interval.high <= 0.2
    assert found.counts.asked == 0 and found.latency is None
    assert found.headline().startswith("With 6")
    with pytest.raises(ConfigurationError, match=r"no threshold is near an edge share of 0\.3"):
        run(job(log, None, Aim.of(None, 0.3, 0.1, None)))


def test_agreement_is_named_as_the_weaker_score(log: Path, server: Server) -> None:
    rows = [row for _, row in read_rows(log)]
    for row in rows:
        del row["reference"]
    log.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = run(job(log, server.url))
    assert "a loss of agreement with the cloud's answer of at most 0.1" in found.headline()
    assert "weaker than quality" in found.text()


def test_chat_logs_in_openais_format_go_in_by_hem_import(tmp_path: Path) -> None:
    """The edge is asked the whole conversations."""
    system = {"role": "system", "content": "Be short."}
    kinds = ("an easy thing, number {}", "a hard and difficult thing, number {}")
    logged = [
        {
            "messages": [
                system,
                {"role": "user", "content": kinds[is_hard(number)].format(number)},
                {"role": "assistant", "content": "right"},
            ]
        }
        for number in range(ROWS)
    ]
    chat_log, log = tmp_path / "chats.jsonl", tmp_path / "log.jsonl"
    chat_log.write_text("".join(json.dumps(row) + "\n" for row in logged))
    import_rows(Import("openai-chat", [chat_log], log))
    with serving(chats, "/v1") as server:
        found = run(job(log, server.url))
    assert found.threshold is not None and found.agreement
    assert found.edge_share == pytest.approx(2 / 3, abs=0.06)
    assert all(body["messages"][0] == system for _, body in server.requests)


def test_algorithms_that_mine_answers_are_refused() -> None:
    require_query_stage("LinearRouter")
    with pytest.raises(ConfigurationError, match="CombinedRouter mines the answer"):
        require_query_stage("CombinedRouter")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("localhost:8080", "is not a URL"),
        ("http://localhost:8080/v1", "give --edge-model"),
    ],
)
def test_an_edge_that_cannot_be_asked_is_refused(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        open_edge(url, None, "", {}, 1, 1)
