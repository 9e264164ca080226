"""`hem feedback` against a server."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from inferencegraph.cli import app
from predictors.errors import ConfigurationError, UpstreamError
from tests.conftest import StartServer, free_port
from tests.loopback import Handler, LoopbackServer


@pytest.fixture(scope="module")
def url(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    store = tmp_path_factory.mktemp("store") / "feedback.db"
    settings = {"HEM_ALGORITHM": "EdgeOnly", "HEM_FEEDBACK_STORE": str(store)}
    settings["HEM_HOST"] = "127.0.0.1"
    ready = "/v2/models/qa-hem/ready"
    return start_server("transformers_hem", "--model_name", "qa-hem", env=settings, ready=ready).url


def run(*words: str) -> str:
    done = CliRunner().invoke(app, ["feedback", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_one_answer_is_rated_and_the_other_word_replaces_it(url: str) -> None:
    assert run("send", "r1", "--thumbs", "up", "--url", url) == (
        "1 kept\n1 of a request that is not known there (yet): it waits for its decision\n"
    )
    told = json.loads(run("send", "r1", "--wrong", "--answer", "2", "--url", url, "--json"))
    assert told == [{"request_id": "r1", "state": "replaces", "known": False}]
    status = run("status", "--url", url)
    assert "without texts\ndecisions: 0\nfeedback: 2, 20" in status and " UTC\n" in status
    assert (
        run("delete", "--request-id", "r1", "--url", url) == "deleted: 0 decisions, 2 feedbacks\n"
    )


def test_a_file_is_sent_and_what_was_queued_counts_once(url: str, tmp_path: Path) -> None:
    queue = tmp_path / "queue.jsonl"
    nobody = f"http://127.0.0.1:{free_port()}"
    for number in (1, 2):
        run("send", f"q{number}", "--rating", "4", "--queue", str(queue), "--url", nobody)
    assert run("send", "--data", str(queue), "--url", url) == (
        "2 kept\n2 of requests that are not known there (yet): they wait for their decisions\n"
    )
    assert run("send", "--data", str(queue), "--url", url).startswith("2 there already\n")


@pytest.mark.parametrize("status", [500, 503])
def test_what_a_server_that_fails_did_not_keep_is_queued(status: int, tmp_path: Path) -> None:
    class Failing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

    server = HTTPServer(("127.0.0.1", 0), Failing)
    Thread(target=server.serve_forever, daemon=True).start()
    queue, url = tmp_path / "queue.jsonl", f"http://127.0.0.1:{server.server_port}"
    try:
        run("send", "q1", "--rating", "4", "--queue", str(queue), "--url", url)
    finally:
        server.shutdown()
        server.server_close()
    assert json.loads(queue.read_text())["request_id"] == "q1"


def test_a_queue_that_ends_in_half_a_line_keeps_what_comes_next(url: str, tmp_path: Path) -> None:
    queue = tmp_path / "queue.jsonl"
    queue.write_text('{"request_id": "torn", "thu')
    nobody = f"http://127.0.0.1:{free_port()}"
    run("send", "whole", "--thumbs", "up", "--queue", str(queue), "--url", nobody)
    with pytest.raises(ConfigurationError, match="line 1: not JSON"):
        run("send", "--data", str(queue), "--url", url)
    queue.write_text(queue.read_text().partition("\n")[2])  # as somebody mends it
    assert run("send", "--data", str(queue), "--url", url).startswith("1 kept\n")


def test_what_many_users_said_is_sent_in_their_names(url: str, tmp_path: Path) -> None:
    of_ada = {"request_id": "u1", "thumbs": "up", "client": "ada"}
    said = [of_ada, {"request_id": "u1", "rating": 1}]
    data = tmp_path / "said.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in said))
    told = run("send", "--data", str(data), "--client", "bob", "--url", url, "--json")
    assert {each["state"] for each in json.loads(told)} == {"new"}
    for user in ("ada", "bob"):
        deleted = run("delete", "--user", user, "--url", url)
        assert deleted == "deleted: 0 decisions, 1 feedback\n"


def test_who_sends_more_than_is_taken_waits_and_goes_on(tmp_path: Path) -> None:
    rows = [{"request_id": f"r{number}", "thumbs": "up"} for number in range(501)]
    data, queue = tmp_path / "said.jsonl", tmp_path / "queue.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    sizes: list[int] = []

    class Server(Handler):
        def do_POST(self) -> None:
            sizes.append(len(self.read_json()))
            said = [{"request_id": "r", "state": "new", "known": False}] * sizes[-1]
            if len(sizes) == 2:
                self.say(429, {"error": "later"}, **{"Retry-After": "1"})
            elif len(sizes) == 4:
                self.say(503, {"error": "locked"})
            else:
                self.say(200, {"kept": sizes[-1], "feedback": said})

    with LoopbackServer(Server) as server:
        words = ("send", "--data", str(data), "--url", server.origin)
        sent = CliRunner().invoke(app, ["feedback", *words])
        assert sent.stdout.startswith("501 kept\n") and "later; waiting for 1 s" in sent.stderr
        assert sizes == [500, 1, 1]
        run(*words, "--queue", str(queue))  # which is refused for another reason
    assert sizes[3:] == [500] and len(queue.read_text().splitlines()) == 501


@pytest.mark.parametrize("fault", [{"rating": 9}, {"at": "soon"}, {"thumbs": "sideways"}])
def test_the_line_of_a_file_is_named_and_what_stood_before_its_request_is_kept(
    url: str, tmp_path: Path, fault: dict[str, Any]
) -> None:
    rows = [{"request_id": f"f{i}", "thumbs": "up", "key": f"f{i}{fault}"} for i in range(600)]
    rows[555] |= fault
    file = tmp_path / "said.jsonl"
    file.write_text("\n" + "".join(f"{json.dumps(row)}\n" for row in rows))
    with pytest.raises(ConfigurationError) as raised:
        run("send", "--data", str(file), "--url", url)
    assert f"{file}, line 557: " in str(raised.value) and "the 500 before line 502" in str(raised)
    del rows[555]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert "500 there already" in run("send", "--data", str(file), "--url", url)


def test_long_answers_are_sent_in_requests_that_servers_take(url: str, tmp_path: Path) -> None:
    """All of them in one request would be 12 MB."""
    file = tmp_path / "said.jsonl"
    rows = [{"request_id": f"l{i}", "answer": "long " * 12_000} for i in range(200)]
    file.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    assert run("send", "--data", str(file), "--url", url).startswith("200 kept\n")


@pytest.mark.parametrize("status", [404, 422])
def test_another_server_than_one_that_keeps_feedback_is_told_so(status: int) -> None:
    """As the URL of a graph, which `hem ask` takes."""

    class Graph(Handler):
        def do_POST(self) -> None:
            self.read_json()
            self.say(status, {"error": "invalid request"})

    with (
        LoopbackServer(Graph) as server,
        pytest.raises(UpstreamError, match="its gateway's URL names, too, and a graph's doesn't"),
    ):
        run("send", "r1", "--thumbs", "up", "--url", server.origin)


def test_bad_input_is_named(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="give a request's id"):
        run("send", "--url", url)
    with pytest.raises(ConfigurationError, match="say what is to go"):
        run("delete", "--url", url)
    with pytest.raises(UpstreamError, match="not on the scale"):
        run("send", "r1", "--rating", "9", "--url", url)
    with pytest.raises(ConfigurationError, match="--url"):
        run("status", "--url", "nowhere")
    with pytest.raises(ConfigurationError, match="--store"):
        run("export", "--store", "mysql://x/y")
