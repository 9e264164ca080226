"""The `hem` command as its users meet it: help, one clear line on bad input, and light imports."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import pytest

from inferencegraph.cli import app, main
from inferencegraph.evaluate.importing import FORMATS
from inferencegraph.local.stack import EXAMPLE
from predictors import embedded as pair
from predictors.contract import text_request
from tests.inferencegraph.running_hem import HEM
from tests.loopback import Handler, LoopbackServer
from transformers_hem import embedded
from transformers_hem.labels.scorers import SCORERS
from transformers_hem.routers.training import LEARNERS

COMMANDS = [command.name for command in app.registered_commands if command.name]
TRAINED = ("--data", "/no", "--algorithm", "LinearRouter")
LABELS = Path(pair.__file__).parent / "data" / "labels.jsonl.gz"
HEAVY = {"torch", "kserve", "vllm", "tritonclient", "sklearn", "transformers", "scipy"}


@dataclass(frozen=True)
class Result:
    returncode: int
    stdout: str
    stderr: str


Hem = Callable[..., Result]


@pytest.fixture
def hem(capsys: pytest.CaptureFixture[str]) -> Hem:
    """hem("ask", "x"): the command in this process, which spares its start."""

    def run(*arguments: str) -> Result:
        with pytest.raises(SystemExit) as end:
            main(arguments)
        return Result(int(end.value.code or 0), *capsys.readouterr())

    return run


class Scripted(Handler):
    """Answers every POST with `status` and `body`; keeps what was asked."""

    status: int
    body: Any
    asked: list[dict[str, Any]]
    headers_sent: ClassVar[dict[str, str]] = {}

    def do_POST(self) -> None:
        self.asked.append(self.read_json())
        self.say(self.status, self.body, **self.headers_sent)


@pytest.fixture
def scripted() -> Iterator[tuple[str, type[Scripted]]]:
    handler = type("Handler", (Scripted,), {"status": 200, "body": answered(), "asked": []})
    with LoopbackServer(handler) as server:
        yield server.origin, handler


def answered(**parameters: Any) -> dict[str, Any]:
    output = {"name": "text_output", "shape": [1], "datatype": "BYTES", "data": ["19"]}
    given = {"hem_route": "edge", "hem_score": 0.25, "hem_reason": "algorithm", **parameters}
    return {"model_name": "qa-edge", "parameters": given, "outputs": [output]}


def loaded_by(*arguments: str) -> set[str]:
    """The top-level modules that `hem ARGUMENTS` has loaded when it ends."""
    code = "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
    code += "from inferencegraph.cli import main; main()"
    command = [sys.executable, "-c", code, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    return {name.split(".")[0] for name in result.stderr.splitlines()[-1].split()}


def test_help_lists_every_command_and_loads_no_engine(hem: Hem) -> None:
    result = hem("--help")
    assert result.returncode == 0
    assert all(command in result.stdout for command in COMMANDS)
    assert not loaded_by("--help") & (HEAVY | {"aiohttp", "asyncio", "httpx", "numpy", "pydantic"})


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example(hem: Hem, command: str) -> None:
    result = hem(command, "--help")
    assert result.returncode == 0
    assert f"Example: hem {command}" in result.stdout


@pytest.mark.parametrize(
    ("command", "table"),
    [("train", LEARNERS.names()), ("label", SCORERS.names()), ("import", FORMATS.names())],
)
def test_the_help_of_a_command_lists_what_its_table_has(
    hem: Hem, command: str, table: list[str]
) -> None:
    words = hem(command, "--help").stdout.replace("│", " ").replace(",", " ").split()
    assert {name.rstrip(".") for name in words} >= set(table)


def test_validating_loads_no_engine() -> None:
    assert not loaded_by("validate", "-f", str(EXAMPLE)) & HEAVY


@pytest.mark.parametrize(
    "router", ["embedded:linear", f"file://{embedded.directory('embedded:linear')}"]
)
def test_a_router_is_named_as_to_hem_itself(hem: Hem, tmp_path: Path, router: str) -> None:
    data, out = tmp_path / "queries.jsonl", tmp_path / "scores.jsonl"
    data.write_text('{"id": 1, "query": "What is 4 + 5?"}\n')
    result = hem("score", "--router", router, "--data", str(data), "--out", str(out))
    assert result.returncode == 0
    assert json.loads(out.read_text())["score"] < 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["asl"], "No such command 'asl'"),
        (["ask"], "Missing argument 'query'"),
        (["ask", "x", "--url", "localhost"], "--url 'localhost' is not a URL"),
        (["ask", "x", "--url", "http://127.0.0.1:9"], "`hem up` starts the example"),
        (["ask", "x", "--prefer", "moon"], "'edge', 'cloud'"),
        (["ask", "x", "--max-tokens", "many"], "--max-tokens"),
        (["up", "--port", "80800"], "--port"),
        (["up", "-f", "/no/such/file.yaml"], "/no/such/file.yaml: no such file"),
        (["up", "--image", "nameless"], "is not NAME=COMMAND"),
        (["validate", "-f", "/no/such/file.yaml"], "/no/such/file.yaml: no such file"),
        (["router", "--graph", "/no/such/file.yaml"], "/no/such/file.yaml"),
        (["train", *TRAINED, "--out", "/tmp/x"], "/no"),
        (["train", *TRAINED, "--out", "/tmp/x", "--seed", "-1"], "a seed must be between 0 and"),
        (["score", "--router", "/no/router", "--data", "/no", "--out", "/tmp/x"], "/no"),
        (["evaluate", "-f", "/no/such/bench.yaml"], "/no/such/bench.yaml: No such file"),
        (["evaluate", "--data", "/no/such/data"], "/no/such/data can't be read: No such file"),
        (["evaluate", "--url", "http://127.0.0.1:9", "--limit", "1"], "`hem up` starts"),
    ],
)
def test_bad_input_ends_in_one_clear_line(hem: Hem, arguments: list[str], message: str) -> None:
    result = hem(*arguments)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1].startswith("hem: error: ")
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_ask_prints_the_answer_and_who_gave_it(
    hem: Hem, scripted: tuple[str, type[Scripted]]
) -> None:
    url, handler = scripted
    about = {"hem_threshold": 0.5, "hem_algorithm": "LinearRouter", "served_by": "qa-edge"}
    handler.body = {"id": "5f0c", **answered(**about)}
    lines = hem("ask", "What is 12 + 7?", "--url", url).stdout.splitlines()
    assert lines[0] == "19"
    assert "route edge (algorithm) · score 0.25, threshold 0.50 · LinearRouter" in lines[1]
    assert "served by qa-edge" in lines[1]
    assert lines[1].endswith("ms · id 5f0c"), "which feedback names"
    assert handler.asked == [text_request(["What is 12 + 7?"])]


def test_ask_sends_what_it_was_told(hem: Hem, scripted: tuple[str, type[Scripted]]) -> None:
    url, handler = scripted
    options = ["--prefer", "cloud", "--max-tokens", "9", "--temperature", "0", "--stop", "."]
    assert hem("ask", "x", "--url", url, *options).returncode == 0
    assert handler.asked[0]["parameters"] == {
        "hem_prefer": "cloud",
        "max_tokens": 9,
        "temperature": 0,
        "stop": '["."]',
    }


def test_ask_as_json_is_for_programs(hem: Hem, scripted: tuple[str, type[Scripted]]) -> None:
    facts = json.loads(hem("ask", "x", "--url", scripted[0], "--json").stdout)
    assert facts["answer"] == "19"
    assert (facts["route"], facts["score"], facts["served_by"]) == ("edge", 0.25, "qa-edge")
    assert facts["seconds"] > 0


@pytest.mark.parametrize(
    ("route", "served_by", "headers", "degraded"),
    [
        ("cloud", "qa-edge", {"hem-failure": "401"}, "the cloud failed (401)"),
        ("cloud", "small", {"hem-failure": "unreachable"}, "the cloud failed (unreachable)"),
        ("cloud", "qa-edge", {}, "the cloud failed"),
        ("cloud", "site-7-edge", {}, "the cloud failed"),
        ("cloud", "qa-cloud", {}, None),
        ("cloud", "gpt-x", {}, None),
        ("edge", "qa-edge", {}, None),
        (None, "qa-cloud", {}, None),
        (None, "qa-edge", {"hem-failure": "timeout"}, "the cloud failed (timeout)"),
    ],
)
def test_ask_says_that_the_edge_stood_in(
    hem: Hem,
    scripted: tuple[str, type[Scripted]],
    route: str | None,
    served_by: str,
    headers: dict[str, str],
    degraded: str | None,
) -> None:
    url, handler = scripted
    handler.body = answered(hem_route=route, served_by=served_by)
    handler.headers_sent = headers
    text = hem("ask", "x", "--url", url).stdout
    assert ("degraded" in text) == (degraded is not None)
    assert f"degraded: {degraded}" in text or degraded is None
    assert json.loads(hem("ask", "x", "--url", url, "--json").stdout)["degraded"] == degraded


def no_rows() -> dict[str, Any]:
    return {"model_name": "m", "outputs": [{**answered()["outputs"][0], "shape": [0], "data": []}]}


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, no_rows(), "is unusable: it has 0 rows for 1 question"),
        (200, {**answered(), "parameters": [1]}, "is unusable: no V2 response: its parameters"),
        (400, {"error": "text_input[0] is empty"}, "answered 400: text_input[0] is empty"),
        (500, {"error": "Failed to process request", "cause": "no step"}, "no step"),
        (404, {"detail": "Not Found"}, "answered 404: Not Found"),
        (200, {"surprise": 1}, "is unusable: no V2 response"),
        (200, [], "is unusable: no V2 response"),
    ],
)
def test_ask_shows_the_servers_own_words(
    hem: Hem, scripted: tuple[str, type[Scripted]], status: int, body: Any, message: str
) -> None:
    url, handler = scripted
    handler.status, handler.body = status, body
    result = hem("ask", "x", "--url", url)
    assert result.returncode == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_validate_exits_with_1_on_an_error_and_names_it(hem: Hem, tmp_path: Path) -> None:
    graph = tmp_path / "graph.yaml"
    text = (EXAMPLE / "graph.yaml").read_text()
    graph.write_text(text.replace("nodeName: answer", "nodeName: anser"))
    result = hem("validate", "-f", str(graph))
    assert result.returncode == 1
    assert "anser" in result.stdout
    problems = json.loads(hem("validate", "-f", str(graph), "--json").stdout)
    assert any(problem["severity"] == "error" for problem in problems)


def test_validate_is_content_with_the_example(hem: Hem) -> None:
    result = hem("validate", "-f", str(EXAMPLE))
    assert result.returncode == 0
    assert "0 errors" in result.stdout


def test_router_alone_serves_a_graph(
    hem: Hem, scripted: tuple[str, type[Scripted]], tmp_path: Path
) -> None:
    url, handler = scripted
    steps = [{"name": "a", "serviceUrl": url}]
    graph = tmp_path / "graph.json"
    graph.write_text(json.dumps({"nodes": {"root": {"routerType": "Sequence", "steps": steps}}}))
    command = [*HEM, "router", "--graph", str(graph), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            ready = process.stdout.readline().split()
            assert ready[:2] == ["hem:", "ready"]
            assert hem("ask", "x", "--url", ready[2]).stdout.startswith("19\n")
        finally:
            process.terminate()
    assert handler.asked


def test_evaluate_prints_a_table_and_names_what_failed(
    hem: Hem, scripted: tuple[str, type[Scripted]], tmp_path: Path
) -> None:
    url, _ = scripted
    data = tmp_path / "questions.jsonl"
    rows = [{"query": "12 + 7", "answer": "19"}, {"query": "1 + 1", "answer": "2"}]
    data.write_text("\n".join(map(json.dumps, rows)))
    options = ("--url", url, "--data", str(data), "--out", str(tmp_path / "out"))
    shown = hem("evaluate", *options).stdout
    assert all(name in shown for name in ("EdgeOnly", "routed", "CloudOnly", "0.500"))
    assert "Alone the edge reaches 50.0%" in shown
    files = ("result.json", "rank.csv", "selected_rank.csv", "report.html")
    assert all((tmp_path / "out" / name).is_file() for name in files)
    facts = json.loads(hem("evaluate", *options, "--json").stdout)
    assert facts["questions"] == 2
    assert facts["runs"]["routed"]["quality"] == 0.5
    assert facts["runs"]["routed"]["edge_share"] == 1
    assert facts["runs"]["routed"]["served_by"] == {"qa-edge": 2}


def test_hem_alone_shows_the_commands(hem: Hem) -> None:
    shown = hem()
    assert shown.returncode == 0 and not shown.stderr
    assert all(command in shown.stdout for command in COMMANDS)


def test_the_version_is_the_packages(hem: Hem) -> None:
    assert hem("--version").stdout == f"hem {version('kserve-hem')}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_an_options_value_not_its_type(hem: Hem, command: str) -> None:
    shown = hem(command, "--help").stdout
    assert not re.search(r"--[\w-]+ +(-\w +)?<[^|>]*>", shown)


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("Größe?".encode(), b"can't be reached"),
        (b"Gr\xf6\xdfe?", b"the command line is not UTF-8"),
        ("\u5927?".encode(), b"can't be reached"),
    ],
)
def test_an_ascii_locale_ends_in_no_traceback(word: bytes, shown: bytes) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    command: list[str | bytes] = [*HEM, "ask", word, "--url", "http://127.0.0.1:1"]
    ended = subprocess.run(command, env={**os.environ, **ascii_only}, capture_output=True)
    assert ended.returncode == 2
    assert shown in ended.stderr and ended.stderr.count(b"\n") == 1


def test_what_was_learned_is_said_in_sentences(hem: Hem, tmp_path: Path) -> None:
    out = tmp_path / "router"
    options = ("--algorithm", "LinearRouter", "--limit", "200", "--out", str(out))
    shown = hem("train", "--data", str(LABELS), *options).stdout
    assert "learned from 200 queries" in shown
    assert "With the threshold" in shown and "APGR" in shown and "a coin has 0.5" in shown
    assert f"hem calibrate --router {out}" in shown and f"HEM_ROUTER={out}" in shown


def test_evaluate_counts_the_edges_answers_for_the_cloud_as_failed(
    hem: Hem, tmp_path: Path
) -> None:
    class Degraded(Scripted):
        asked: ClassVar[list[dict[str, Any]]] = []
        status = 200

        @property
        def body(self) -> Any:
            prefer = self.asked[-1]["parameters"].get("hem_prefer", "cloud")
            return answered(hem_route=prefer, served_by="small")

    data = tmp_path / "questions.jsonl"
    data.write_text('{"query": "12 + 7", "answer": "19"}\n')
    with LoopbackServer(Degraded) as server:
        options = ["--url", server.origin, "--data", str(data), "--json"]
        result = hem("evaluate", *options, "--out", str(tmp_path / "out"))
    facts = json.loads(result.stdout)
    measured = [system["name"] for system in facts["systems"] if system["measured"]]
    failed = {name: facts["runs"][name]["failures"] for name in measured}
    assert failed == {"EdgeOnly": 0, "routed": 1, "CloudOnly": 1}
    assert facts["runs"]["CloudOnly"]["kept"] is None
    assert facts["errors"] == {"degraded: the cloud failed": 2}
    assert "1 failed: degraded: the cloud failed" in result.stderr
