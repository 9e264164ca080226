"""A scripted graph and a scripted gateway are asked: what is sent, read and kept."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from inferencegraph.evaluate.asking import Pace, ask_all, asker
from inferencegraph.evaluate.benchmark import Benchmark
from inferencegraph.evaluate.datasets import read_data
from inferencegraph.evaluate.outcome import Outcome, read_outcome
from inferencegraph.evaluate.records import ROWS, Records
from inferencegraph.evaluate.result import facts
from inferencegraph.evaluate.run import run
from predictors.errors import ConfigurationError, UpstreamError
from tests.loopback import Handler, LoopbackServer


class Scripted(Handler):
    """The edge says the query in capitals, the cloud as it is; short queries stay."""

    asked: ClassVar[list[dict[str, Any]]] = []
    failing: ClassVar[set[str]] = set()
    seconds = 0.0

    def do_GET(self) -> None:
        self.say(200, {"data": [{"id": "qa"}]})

    def do_POST(self) -> None:
        body = self.read_json()
        self.asked.append(body)
        time.sleep(self.seconds)
        chat = "messages" in body
        query = body["messages"][-1]["content"] if chat else body["inputs"][0]["data"][0]
        told = body.get("parameters", {}).get("hem_prefer")
        told = body["model"].removeprefix("qa").strip("-") if chat else told
        route = told or ("edge" if len(query) < 6 else "cloud")
        if query in self.failing:
            return self.say(503, {"error": "no room"})
        text = query.upper() if route == "edge" else query
        if chat:
            self.say(200, self._events(text, route), "text/event-stream")
        else:
            self.say(200, self._v2(text, route))

    def _v2(self, text: str, route: str) -> dict[str, Any]:
        def tensor(name: str, kind: str, value: Any) -> dict[str, Any]:
            return {"name": name, "datatype": kind, "shape": [1], "data": [value]}

        return {
            "model_name": route,
            "parameters": {"hem_route": route, "hem_score": 0.25, "hem_reason": "algorithm"},
            "outputs": [
                tensor("text_output", "BYTES", text),
                tensor("prompt_tokens", "INT32", 4),
                tensor("completion_tokens", "INT32", 2),
                tensor("time_to_first_token", "FP32", 0.125),
                tensor("mean_logprob", "FP32", -0.5),
            ],
        }

    def _events(self, text: str, route: str) -> bytes:
        def event(delta: dict[str, Any], **more: Any) -> bytes:
            choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish", None)}
            body = {"id": "1", "object": "chat.completion.chunk", "model": f"qa-{route}"}
            return b"data: " + json.dumps({**body, "choices": [choice], **more}).encode() + b"\n\n"

        usage = {"prompt_tokens": 4, "completion_tokens": 2, "total_tokens": 6}
        said = {"route": route, "reason": "algorithm", "score": 0.25, "served_by": f"qa-{route}"}
        if route == "cloud":
            said["spent"] = [
                {"route": "edge", "model": "qa-edge", "prompt_tokens": 3, "completion_tokens": 1}
            ]
        return b"".join(
            [
                event({"role": "assistant", "content": text[:1]}),
                event({"content": text[1:]}),
                event({}, finish="stop", hem=said, usage=usage),
                b"data: [DONE]\n\n",
            ]
        )


@pytest.fixture
def scripted() -> Iterator[tuple[str, type[Scripted]]]:
    handler = type("Handler", (Scripted,), {"asked": [], "failing": set(), "seconds": 0.0})
    with LoopbackServer(handler) as server:
        yield server.origin, handler


@pytest.fixture
def questions(tmp_path: Path) -> Path:
    queries = ["ab", "abc", "abcd", "a longer one", "another long one", "AB"]
    rows = [{"id": n, "query": query, "answer": query} for n, query in enumerate(queries)]
    path = tmp_path / "questions.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def benchmark(url: str, questions: Path, **fields: Any) -> Benchmark:
    given = {"name": "b", "url": url, "data": questions, "scorer_options": {}, **fields}
    return Benchmark.model_validate(given)


def found(benchmark: Benchmark, out: Path) -> dict[str, Any]:
    return facts(asyncio.run(run(benchmark, out)))


@pytest.mark.parametrize("through", ["graph", "gateway"])
def test_three_systems_are_measured_and_others_replayed(
    scripted: tuple[str, type[Scripted]], questions: Path, tmp_path: Path, through: str
) -> None:
    url, _ = scripted
    result = found(benchmark(url, questions, through=through), tmp_path / "out")
    runs = result["runs"]
    # exact_match is apart from case: both sides are always right.
    assert {name: run["quality"] for name, run in runs.items()} == dict.fromkeys(runs, 1.0)
    assert runs["routed"]["edge_share"] == pytest.approx(4 / 6)
    assert (runs["EdgeOnly"]["edge_share"], runs["CloudOnly"]["edge_share"]) == (1.0, 0.0)
    assert runs["routed"]["edge_prompt_tokens"] == (16.0 if through == "graph" else 16.0 + 2 * 3)
    assert runs["routed"]["cloud_completion_tokens"] == 4.0
    assert runs["CloudOnly"]["mean_first_token_seconds"] > 0
    measured = {s["name"]: s["measured"] for s in result["systems"]}
    assert measured == {
        "EdgeOnly": True,
        "routed": True,
        "CloudOnly": True,
        "OracleRouter": False,
        "RandomRouter": False,
    }


def test_a_graph_is_asked_with_parameters_and_a_preference(
    scripted: tuple[str, type[Scripted]], questions: Path, tmp_path: Path
) -> None:
    url, handler = scripted
    asked = benchmark(url, questions, parameters={"max_tokens": 7}, systems=["CloudOnly"])
    found(asked, tmp_path / "out")
    told = [body["parameters"] for body in handler.asked]
    assert {each["max_tokens"] for each in told} == {7}
    assert [each["hem_prefer"] for each in told] == ["edge"] * 7 + ["cloud"] * 7


def test_a_question_that_fails_counts_and_its_time_does_not(
    scripted: tuple[str, type[Scripted]], questions: Path, tmp_path: Path
) -> None:
    url, handler = scripted
    handler.failing = {"abcd"}
    result = found(benchmark(url, questions), tmp_path / "out")
    assert result["runs"]["routed"]["failures"] == 1
    assert result["runs"]["routed"]["quality"] == pytest.approx(5 / 6)
    (error,) = result["errors"]
    assert "503" in error and "no room" in error and result["errors"][error] == 3
    (row,) = [
        json.loads(line)
        for line in (tmp_path / "out" / ROWS / "routed.jsonl").read_text().splitlines()
        if "no room" in line
    ]
    assert row["status"] == 503 and "text" not in row


def test_an_interrupted_run_goes_on_and_asks_nothing_twice(
    scripted: tuple[str, type[Scripted]], questions: Path, tmp_path: Path
) -> None:
    url, handler = scripted
    asked = benchmark(url, questions)
    whole = found(asked, tmp_path / "out")
    path = tmp_path / "out" / ROWS / "routed.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[:4]) + '{"id": 5, "rou')  # killed in the middle of a line
    handler.asked.clear()
    again = found(asked, tmp_path / "out")
    # the three that were missing, and the first of them before, to warm up
    assert len(handler.asked) == 4
    assert again["runs"]["routed"]["quality"] == whole["runs"]["routed"]["quality"]
    handler.asked.clear()
    found(asked, tmp_path / "out")
    assert handler.asked == []


def test_what_a_cold_model_takes_is_in_no_outcome_and_no_sum(
    scripted: tuple[str, type[Scripted]], questions: Path, tmp_path: Path
) -> None:
    _, handler = scripted

    class Cold(handler):  # type: ignore[valid-type, misc]
        def do_POST(self) -> None:
            if not self.asked:
                time.sleep(3)
            super().do_POST()

    with LoopbackServer(Cold) as server:
        found(benchmark(server.origin, questions), tmp_path / "out")
    lines = (tmp_path / "out" / ROWS / "EdgeOnly.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines[1:]]
    assert max(row["seconds"] for row in rows if "id" in row) < 3
    assert [row["turn"]["wall_seconds"] < 3 for row in rows if "turn" in row] == [True]


def test_a_folder_of_another_run_is_refused(
    scripted: tuple[str, type[Scripted]], questions: Path, tmp_path: Path
) -> None:
    url, _ = scripted
    found(benchmark(url, questions), tmp_path / "out")
    with pytest.raises(ConfigurationError, match="run with other settings"):
        found(benchmark(url, questions, parameters={"max_tokens": 1}), tmp_path / "out")


def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    with Records(path, {}):
        pass
    path.write_text(path.read_text() + "{}\n")
    with (
        pytest.raises(ConfigurationError, match=r"rows\.jsonl, line 2: damaged"),
        Records(path, {}),
    ):
        pass


def test_nobody_there_is_said_before_all_are_asked(questions: Path, tmp_path: Path) -> None:
    for through in ("graph", "gateway"):
        with pytest.raises(UpstreamError, match="`hem up` starts"):
            found(benchmark("http://127.0.0.1:9", questions, through=through), tmp_path / "out")


async def test_at_a_rate_questions_come_at_random_times_whatever_the_answers_take(
    scripted: tuple[str, type[Scripted]], tmp_path: Path
) -> None:
    url, handler = scripted
    handler.seconds = 0.2
    path = tmp_path / "q"
    path.write_text("\n".join(json.dumps({"query": f"q{n}", "answer": "x"}) for n in range(80)))
    items, seen = read_data(path).items, []
    began = time.perf_counter()
    async with asker(url, "graph", {}) as ask:
        pace = Pace(1, rate=100.0, seed=3)
        await ask_all(ask, items, None, pace, lambda item, outcome: seen.append(outcome))
    took = time.perf_counter() - began
    due = float(np.random.default_rng(3).exponential(0.01, 80).sum())
    assert len(seen) == 80
    assert due <= took < due + 5 < 80 * 0.2  # one at a time would take 16 s


def answer(name: str, data: Any, **parameters: Any) -> dict[str, Any]:
    output = {"name": name, "datatype": "FP32", "shape": [1, 3], "data": data}
    return {"model_name": "m", "outputs": [output], "parameters": parameters}


def test_the_answer_is_the_text_or_the_likeliest_class() -> None:
    def told(outcome: Outcome) -> tuple[str | None, ...]:
        return outcome.text, outcome.route, outcome.served_by

    classified = answer("probabilities", [0.1, 0.7, 0.2], hem_route="edge", served_by="small")
    assert told(read_outcome(classified)) == ("1", "edge", "small")
    assert told(read_outcome(answer("probabilities", [1, 0]))) == ("0", None, "m")
    assert told(read_outcome(answer("text_output", ["2"], served_by="big"))) == ("2", None, "big")


@pytest.mark.parametrize(
    "response",
    [
        {},
        {"outputs": 7},
        {"outputs": [7]},
        answer("boxes", [1]),
        answer("probabilities", None),
        answer("probabilities", []),
        answer("probabilities", ["1"]),
        answer("text_output", []),
        {**answer("probabilities", [1]), "parameters": [1]},
    ],
)
def test_an_answer_of_neither_kind_is_a_value_error(response: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no V2 response"):
        read_outcome(response)


def test_a_benchmark_that_nobody_answers_leaves_no_folder(questions: Path, tmp_path: Path) -> None:
    with pytest.raises(UpstreamError):
        found(benchmark("http://127.0.0.1:9", questions), tmp_path / "results" / "new")
    assert not (tmp_path / "results").exists()
