"""`hem label` as a user runs it: interrupted, killed, gone on with, and told what is wrong."""

import json
import resource
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, free_port
from tests.inferencegraph.running_hem import HEM, hem
from tests.transformers_hem.labels.servers import Server, answered, query_of, serving
from transformers_hem.labels.question import read_questions
from transformers_hem.labels.scorers.options import make_scorer, require_scorable

COUNT, PLACES = 60, 4


def echo(body: dict[str, Any]) -> tuple[int, Any]:
    return answered(query_of(body).upper())


def slow_echo(body: dict[str, Any]) -> tuple[int, Any]:
    time.sleep(0.1)
    return echo(body)


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    with serving(slow_echo) as edge, serving(echo) as cloud:
        yield edge, cloud


@pytest.fixture
def command(tmp_path: Path, servers: tuple[Server, Server]) -> list[str]:
    rows = [{"id": i, "query": f"question {i}", "reference": f"QUESTION {i}"} for i in range(COUNT)]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    edge, cloud = servers
    asked = ["label", "--edge", edge.url, "--cloud", cloud.url, "--concurrency", str(PLACES)]
    files = ["--data", str(tmp_path / "q.jsonl"), "--out", str(tmp_path / "labels.jsonl")]
    return [*asked, *files, "--scorer", "exact_match"]


def interrupted(command: list[str], server: Server, number: signal.Signals) -> tuple[int, str]:
    """Exit code and stderr of a run that got the signal after a third of the questions."""
    process = subprocess.Popen([*HEM, *command], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(server.requests) < COUNT // 3 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    return process.returncode, errors


def test_after_ctrl_c_the_same_command_goes_on_and_asks_nothing_twice(
    command: list[str], servers: tuple[Server, Server], tmp_path: Path
) -> None:
    code, errors = interrupted(command, servers[0], signal.SIGINT)
    assert code == 130
    assert "stopping after the questions in flight" in errors
    assert "have no labels; the same command goes on" in errors
    kept = len((tmp_path / "labels.jsonl").read_text().splitlines())
    assert COUNT // 3 <= kept < COUNT
    result = hem(*command, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["asked"] == 2 * (COUNT - kept)
    assert len((tmp_path / "labels.jsonl").read_text().splitlines()) == COUNT
    for server in servers:
        assert sorted(server.asked.values()) == [1] * COUNT


def test_a_killed_run_loses_only_what_was_in_flight(
    command: list[str], servers: tuple[Server, Server], tmp_path: Path
) -> None:
    code, _ = interrupted(command, servers[0], signal.SIGKILL)
    assert code == -signal.SIGKILL
    journal = tmp_path / "labels.jsonl.journal"
    journal.write_bytes(journal.read_bytes()[:-7])  # as a power cut leaves it
    result = hem(*command)
    assert result.returncode == 0, result.stderr
    assert f"{COUNT} labels in" in result.stdout
    for server in servers:
        assert len(server.asked) == COUNT
        assert len(server.requests) <= COUNT + PLACES + 1


def test_what_failed_is_listed_and_the_exit_says_so(
    command: list[str], servers: tuple[Server, Server]
) -> None:
    servers[0].reply = lambda body: (
        (500, {"error": "no such luck"}) if query_of(body).endswith("7") else echo(body)
    )
    result = hem(*command)
    assert result.returncode == 1
    assert "hem: 57: http://127.0.0.1" in result.stderr
    assert "answered 500: no such luck" in result.stderr
    assert "hem: error: 6 questions have no labels; the same command goes on" in result.stderr
    assert "edge 1, cloud 1, hard 0.0%" in result.stdout


def test_a_full_disk_is_one_line_and_the_run_goes_on_when_there_is_room(
    command: list[str], servers: tuple[Server, Server]
) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))

    result = subprocess.run([*HEM, *command], capture_output=True, text=True, preexec_fn=limit)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1 and "labels.jsonl" in result.stderr
    assert "can't be written: " in result.stderr
    assert hem(*command).returncode == 0
    assert len(servers[1].requests) <= COUNT + PLACES + 1


def test_a_second_ctrl_c_stops_at_once_and_keeps_the_answers(
    command: list[str], servers: tuple[Server, Server], tmp_path: Path
) -> None:
    over = threading.Event()

    def hangs(body: dict[str, Any]) -> tuple[int, Any]:
        if query_of(body).endswith("9"):
            over.wait(60)
        return echo(body)

    servers[1].reply = hangs
    process = subprocess.Popen([*HEM, *command], stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while servers[1].asked["question 9"] == 0 and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "stopping after the questions" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)  # half of what its answer takes
    over.set()
    assert process.returncode == 130
    assert errors.endswith("hem: error: stopped\n")
    kept = (tmp_path / "labels.jsonl").read_text().splitlines()
    assert 8 <= len(kept) < COUNT


def test_progress_is_told_where_there_is_no_terminal(
    command: list[str], servers: tuple[Server, Server]
) -> None:
    def slower(body: dict[str, Any]) -> tuple[int, Any]:
        time.sleep(1.1)
        return echo(body)

    servers[0].reply = slower
    result = hem(*command, "--limit", "3", "--concurrency", "1")
    assert result.returncode == 0
    assert "labelling: 2 of 3" in result.stderr


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        (["--scorer", "multiple_choice"], "line 1: multiple_choice: reference 'QUESTION 0' is"),
        (["--scorer", "bleu"], "unknown scorer 'bleu'; known: bartscore"),
        (["--data", "/no/such/file"], "/no/such/file can't be read: No such file"),
        (["--url", "http://127.0.0.1:1"], "give --edge and --cloud, or a graph's --url"),
        (["--cloud", f"http://127.0.0.1:{free_port()}/x"], "can't be reached"),
        (["--prefix-tokens", "8,0"], "--prefix-tokens '8,0' must be numbers of tokens with comm"),
        (["--prefix-tokens", "8,"], "--prefix-tokens '8,' must be numbers of tokens"),
        (["--prefix-tokens", "x"], "--prefix-tokens 'x' must be numbers of tokens"),
        (["--prefix-tokens", "8", "--edge", "http://e/"], "does not end in /v2/models/NAME/infer"),
        (["--prefix-tokens", "8", "--from-mixinstruct"], "--prefix-tokens needs models to ask"),
        (["--epsilon", "-1"], "see hem label --help"),
        (["--epsilon", "inf"], "epsilon must be 0 or more, not inf"),
    ],
)
def test_bad_input_is_one_line_and_asks_nothing(
    command: list[str], servers: tuple[Server, Server], extra: list[str], told: str
) -> None:
    result = hem(*command, *extra)
    assert (result.returncode, result.stdout) == (2, "")
    assert told in result.stderr
    assert result.stderr.count("\n") == 1
    assert len(servers[0].requests) <= 1 and servers[1].requests == []


EXAMPLES = ROOT / "transformers_hem" / "labels" / "examples"


def test_what_could_not_be_read_is_told_and_many_are_a_warning(tmp_path: Path) -> None:
    rows = [{"query": f"{n} + 0", "reference": n, "edge_answer": str(n)} for n in range(20)]
    texts = ["no idea", "neither", *map(str, range(2, 20))]
    lines = [row | {"cloud_answer": text} for row, text in zip(rows, texts, strict=True)]
    (tmp_path / "rows").write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = ["label", "--data", str(tmp_path / "rows"), "--scorer", "numeric", "--out"]
    result = hem(*asked, str(tmp_path / "out"))
    assert result.returncode == 0
    assert "not read, and so counted as wrong: edge 0, cloud 2" in result.stdout
    assert (
        "warning: numeric found no answer in 2 of 20 of the cloud's texts (10.0%)" in result.stderr
    )
    assert "edge's" not in result.stderr
    facts = json.loads(hem(*asked, str(tmp_path / "out"), "--json").stdout)
    assert (facts["edge_unread"], facts["cloud_unread"]) == (0, 2)


def test_five_percent_are_no_warning(tmp_path: Path) -> None:
    row = {"reference": "4", "edge_answer": "4", "cloud_answer": "4"}
    lines = [row | {"query": str(n)} for n in range(19)] + [
        row | {"query": "x", "edge_answer": "?"}
    ]
    (tmp_path / "rows").write_text("".join(json.dumps(line) + "\n" for line in lines))
    asked = ["label", "--data", str(tmp_path / "rows"), "--scorer", "numeric", "--out"]
    result = hem(*asked, str(tmp_path / "out"))
    assert "counted as wrong: edge 1, cloud 0" in result.stdout
    assert "warning" not in result.stderr


def test_the_example_of_the_docs_needs_no_model(tmp_path: Path) -> None:
    files = ["--data", str(EXAMPLES / "answered.jsonl"), "--out", str(tmp_path / "labels")]
    result = hem("label", *files, "--scorer", "multiple_choice")
    assert result.returncode == 0
    assert "multiple_choice: edge 0.5, cloud 1, hard 50.0%" in result.stdout


def test_the_example_questions_can_be_scored_as_the_docs_do() -> None:
    questions = read_questions(EXAMPLES / "questions.jsonl", None)
    require_scorable(make_scorer("numeric", []), "numeric", questions)
    assert len(questions) == 40


def test_mixinstruct_is_converted_without_asking(tmp_path: Path) -> None:
    candidates = [{"model": m, "text": m, "scores": {"bleu": v}} for m, v in (("e", 1), ("c", 2))]
    (tmp_path / "mix").write_text(json.dumps([{"input": "hello", "candidates": candidates}]))
    files = ["--data", str(tmp_path / "mix"), "--out", str(tmp_path / "labels")]
    named = ["--from-mixinstruct", "--edge", "e", "--cloud", "c"]
    result = hem("label", *files, *named, "--scorer", "bleu")
    assert result.stdout == f"1 labels in {tmp_path / 'labels'}, 0 rows have no such comparison\n"
