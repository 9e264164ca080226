"""A log of JSON lines: one object a line, whoever logs, and never what a caller asked."""

import io
import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from predictors.contract import text_request
from predictors.json_log import JSONLines, message_of
from predictors.logs import OneLineRecord
from predictors.passed_on import forwarded_headers
from tests.conftest import ROOT, ServerProcess, StartServer

TRACE = "e" * 32
HEADERS = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "x-request-id": "7f3a-07"}
SECRET = "please keep this to yourself"


def lines(text: str) -> list[dict[str, Any]]:
    """Fails where one of them is no object."""
    return [json.loads(line) for line in text.splitlines()]


def logged(message: str, *fields: object, error: BaseException | None = None) -> dict[str, Any]:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONLines())
    info = (type(error), error, error.__traceback__) if error else None
    handler.handle(OneLineRecord("n", logging.WARNING, "f.py", 1, message, fields, info))
    (line,) = lines(stream.getvalue())
    return line


def test_a_line_has_time_level_logger_and_message() -> None:
    line = logged("said %s", "grüß 你好")
    assert (line["level"], line["logger"], line["message"]) == ("WARNING", "n", "said grüß 你好")
    assert line["time"][-1] == "Z" and line["time"][10] == "T"
    assert line.keys() == {"time", "level", "logger", "message"}


def test_a_request_that_is_served_names_its_lines() -> None:
    with forwarded_headers(HEADERS):
        line = logged("x")
    assert (line["request_id"], line["trace_id"]) == ("7f3a-07", TRACE)


@pytest.mark.parametrize(
    "traceparent", ["", "x", "00-zz-00f067aa0ba902b7-01", "00-" + "e" * 31 + "-0-01", "00-\n-\n-1"]
)
def test_what_is_no_trace_is_left_out(traceparent: str) -> None:
    with forwarded_headers({"traceparent": traceparent, "x-request-id": "i" * 999}):
        line = logged("x")
    assert "trace_id" not in line
    assert line["request_id"].startswith("h:") and len(line["request_id"]) == 14


@pytest.mark.parametrize(
    "identity", ["anna@example.com", "+49 30 1234567", "4111-1111-1111-1111", "sk-proj-1", "id\n7"]
)
def test_an_id_that_may_be_private_is_shown_by_its_hash(identity: str) -> None:
    with forwarded_headers({"x-request-id": identity}):
        first, second = logged("x"), logged("y")
    assert first["request_id"] == second["request_id"]
    assert first["request_id"].startswith("h:") and identity not in str(first)


@pytest.mark.parametrize("text", ['a"}\n{"level":"x', "a\u2028b", "a\ud800b", "\x00"])
def test_no_text_breaks_out_of_its_line(text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError as error:
        line = logged(f"said {text}", error=error)
    assert line["level"] == "WARNING"
    assert line["exception"].startswith("Traceback")
    assert "ValueError" in line["exception"]


def test_the_message_of_a_line_of_either_format() -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JSONLines())
    handler.handle(OneLineRecord("n", 20, "f.py", 1, "error: %s", ("no",), None))
    assert message_of(stream.getvalue().strip()) == "error: no"
    assert message_of("error: no") == "error: no"
    assert message_of('{"time": broken') == '{"time": broken'


@pytest.fixture(scope="module")
def server(start_server: StartServer) -> ServerProcess:
    return start_server(
        *("tests.predictors.scripted", "--model_name", "m", "--engine", "scripted"),
        env={"HEM_LOG_FORMAT": "json", "PREDICTOR_TEMPERATURE": "0"},
        ready="/v2/models/m/ready",
    )


def test_all_that_a_server_logs_is_json(server: ServerProcess) -> None:
    url = f"{server.url}/v2/models/m/infer"
    for text in ("fine", f"fail {SECRET}", f"crash {SECRET}"):
        httpx.post(url, json=text_request([text]), headers=HEADERS, timeout=10)
    httpx.post(url, content=b"{", headers=HEADERS, timeout=10)
    httpx.post(f"{server.url}/v2/models/{SECRET}/infer", json=text_request(["x"]), timeout=10)
    server.stop()
    text = server.log.read_text()
    said = lines("\n".join(line for line in text.splitlines() if not _scripted(line)))
    loggers = {line["logger"].partition(".")[0] for line in said}
    assert loggers >= {"kserve", "uvicorn"}
    errors = [line for line in said if line["level"] == "ERROR"]
    assert errors and all(line.get("request_id") == "7f3a-07" for line in errors), errors
    assert {line["trace_id"] for line in errors} == {TRACE}
    assert any("exception" in line for line in errors)
    assert SECRET not in "".join(line["message"] for line in errors)


def _scripted(line: str) -> bool:
    """The tests' engine prints."""
    return line.startswith("scripted: ")


def test_why_a_server_can_not_start_is_a_line_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "predictors", "--engine", "huggingface", "--max_tokens", "no"]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={"PATH": "", "HEM_LOG_FORMAT": "json", "PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 2
    last = lines(ended.stderr)[-1]
    assert last["level"] == "CRITICAL"
    assert last["message"].startswith("error: ") and "max_tokens" in last["message"]


def test_an_unknown_format_is_refused_by_name() -> None:
    command = [sys.executable, "-m", "inferencegraph", "schema"]
    env = {"PATH": "", "HEM_LOG_FORMAT": "jsno", "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=env)
    assert ended.returncode == 2
    assert "HEM_LOG_FORMAT 'jsno': known: json, text; did you mean 'json'?" in ended.stderr
