"""`hem bench` as its users meet it: tables, JSON, rows, and one clear line on bad input."""

import asyncio
import json
import os
import re
import resource
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.cli import main
from tests.conftest import free_port
from tests.inferencegraph.evaluate.load.served import (
    SSE_HEAD,
    Asked,
    Served,
    chunk,
    delta,
    event,
    served,
    v2,
    whole,
)

Bench = Callable[..., tuple[int, str, str]]
QUICK = ("--warmup", "0", "--requests", "40", "--blocks", "2")


@pytest.fixture
def bench(capsys: pytest.CaptureFixture[str]) -> Bench:
    """Exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main(["bench", *arguments])
        out, err = capsys.readouterr()
        return int(end.value.code or 0), out, err

    return run


async def graph(asked: Asked) -> bytes:
    route = "cloud" if asked.text[-1:] in "?aeiou" else "edge"
    return whole(v2(hem_route=route))


@pytest.fixture
def server() -> Iterator[Served]:
    with served(graph) as made:
        yield made


def test_a_table_for_people_says_what_each_level_bears(bench: Bench, server: Served) -> None:
    code, out, _ = bench("--url", server.url, "--concurrency", "1,4", *QUICK)
    assert code == 0
    assert f"A: {server.url} (v2)" in out
    assert re.search(r"1 caller +4 callers", out)
    for line in ("answered", "failed", "requests/s", "tokens/s", "latency p99", "at the edge"):
        assert re.search(rf"^ {line} +\S+.* +\S+", out, re.M), line


@pytest.mark.parametrize("width", [80, 140])
def test_many_levels_of_two_urls_fit_into_the_terminal(
    bench: Bench, server: Served, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", str(width))
    urls = ("--url", server.url, "--url", f"{server.url}/b")
    code, out, _ = bench(*urls, "--concurrency", "1,2,4,8", *QUICK)
    assert code == 0
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out)
    assert max(map(len, plain.splitlines())) <= width
    assert out.count("B / A") == 4


def test_json_tells_everything(bench: Bench, server: Served) -> None:
    urls = ("--url", server.url, "--url", f"{server.url}/b")
    code, out, _ = bench(*urls, "--rate", "400", *QUICK, "--json", "--max-tokens", "9")
    facts = json.loads(out)
    assert code == 0
    assert (facts["loop"], facts["blocks"], facts["interrupted"]) == ("open", 2, False)
    assert [result["answered"] for result in facts["results"]] == [40, 40]
    assert facts["targets"]["B"]["url"] == f"{server.url}/b"
    assert facts["comparisons"][0]["ratios"]["requests_per_second"]["low"] > 0
    assert facts["results"][0]["harness"]["late_p99"] >= 0
    assert server.asked[-1].body["parameters"] == {"max_tokens": 9}


def test_each_request_is_kept_as_a_row(bench: Bench, server: Served, tmp_path: Path) -> None:
    out = tmp_path / "run" / "1"
    code, _, _ = bench("--url", server.url, *QUICK, "--out", str(out))
    rows = [json.loads(line) for line in (out / "requests.jsonl").read_text().splitlines()]
    assert code == 0 and len(rows) == 40
    assert all(0 <= r["intended"] <= r["sent"] <= r["end"] and r["status"] == 200 for r in rows)
    assert {row["route"] for row in rows} == {"edge", "cloud"}
    assert json.loads((out / "summary.json").read_text())["results"][0]["answered"] == 40
    code, _, err = bench("--url", server.url, *QUICK, "--out", str(out))
    assert (code, err) == (
        2,
        f"hem: error: --out: {out / 'requests.jsonl'} exists; choose another folder\n",
    )


async def chat(asked: Asked) -> bytes:
    assert asked.body["stream_options"] == {"include_usage": True}
    usage = {"choices": [], "usage": {"prompt_tokens": 4, "completion_tokens": 2}}
    events = (delta("4"), delta("2"), delta(None, "stop"), event(usage), event("[DONE]"))
    return SSE_HEAD + b"".join(map(chunk, events)) + b"0\r\n\r\n"


def test_streams_tell_first_tokens(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "chats.jsonl"
    data.write_text('{"messages": [{"role": "user", "content": "6 * 7?"}]}\n')
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    with served(chat) as server:
        url = f"{server.url}/v1"
        given = ("--stream", "--model", "m", "--data", str(data), "--json", *QUICK)
        code, out, _ = bench("--url", url, *given)
    (result,) = json.loads(out)["results"]
    assert code == 0
    assert result["tokens"] == 80
    assert 0 < result["ttft"]["p50"] <= result["latency"]["p50"]
    assert result["itl"]["p50"] is not None
    asked = server.asked[-1]
    assert (asked.path, asked.headers["authorization"]) == ("/v1/chat/completions", "Bearer sk-1")
    assert asked.body["messages"] == [{"role": "user", "content": "6 * 7?"}]


def test_failures_are_counted_by_cause_with_an_example(bench: Bench) -> None:
    async def fails_later(asked: Asked) -> bytes:
        return whole(v2()) if len(server.asked) == 1 else whole(b'{"error": "full"}', 503)

    with served(fails_later) as server:
        code, out, err = bench("--url", server.url, *QUICK)
    assert code == 1
    assert re.search(r"failed +40 503", out)
    assert "hem: A: 503, for one: full" in err


def test_ctrl_c_prints_what_there_is(bench: Bench, tmp_path: Path) -> None:
    async def interrupts(asked: Asked) -> bytes:
        if len(server.asked) == 50:
            os.kill(os.getpid(), signal.SIGINT)
        return whole(v2())

    out = tmp_path / "run"
    with served(interrupts) as server:
        code, printed, err = bench(
            *("--url", server.url, "--warmup", "0", "--duration", "600"),
            *("--concurrency", "2", "--json", "--out", str(out)),
        )
    facts = json.loads(printed)
    assert code == 130
    assert facts["interrupted"] and 49 <= facts["results"][0]["answered"] < 1000
    rows = (out / "requests.jsonl").read_bytes().splitlines()
    assert len(rows) == facts["results"][0]["requests"]
    assert "stopping" in err


def test_a_second_ctrl_c_does_not_wait_for_a_server_that_hangs(bench: Bench) -> None:
    async def hangs(asked: Asked) -> bytes:
        if len(server.asked) > 20:
            os.kill(os.getpid(), signal.SIGINT)
            await asyncio.sleep(1000)
        return whole(v2())

    with served(hangs) as server:
        given = ("--concurrency", "2", "--warmup", "0", "--duration", "600", "--json")
        code, printed, _ = bench("--url", server.url, *given)
    (result,) = json.loads(printed)["results"]
    assert code == 130
    assert result["answered"] == 19


def test_a_disk_that_is_full_costs_rows_and_not_the_figures(
    bench: Bench, server: Served, tmp_path: Path
) -> None:
    """A limit of the size of files stands for the full disk: to write fails alike."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        code, out, err = bench("--url", server.url, *QUICK, "--out", str(tmp_path / "run"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code == 1
    assert re.search(r"answered +40", out)
    assert "requests.jsonl can't be written: File too large" in err


def lines(folder: Path, *rows: Any) -> str:
    path = folder / "rows.jsonl"
    path.write_text(
        "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    )
    return str(path)


@pytest.mark.parametrize(
    ("rows", "url", "says"),
    [
        (["{"], "", "line 1: not JSON"),
        ([{"query": "1?"}, {"query": ""}], "", "line 2: 'query' must be a non-empty string"),
        ([{"question": "1?"}], "", "line 1: 'query' must be a non-empty string; this row has"),
        ([{"inputs": []}], "", "line 1: 'inputs' must be a list of objects"),
        ([{"inputs": [{"name": "x"}]}], "", "line 1: one of 'inputs' has no 'datatype'"),
        ([{"messages": [{"role": "user"}]}], "", "line 1: 'messages' need an OpenAI URL"),
        (
            [{"inputs": [{"name": "x", "datatype": "FP32", "data": [1]}]}],
            "/v1/completions",
            "line 1: 'inputs' can't be asked as completions",
        ),
        ([], "", "has no rows"),
    ],
)
def test_rows_that_can_not_be_asked_name_file_and_line(
    bench: Bench, server: Served, tmp_path: Path, rows: list[Any], url: str, says: str
) -> None:
    data = lines(tmp_path, *rows)
    code, out, err = bench("--url", server.url + url, "--data", data, "--model", "m")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert data in err and says in err
    assert server.asked == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--url", "localhost:8080"], "--url 'localhost:8080' is not a URL"),
        (["--url", "ftp://x"], "--url 'ftp://x' is not a URL"),
        (["--rate", "0"], "--rate 0: must be more than 0"),
        (["--duration", "5", "--requests", "5"], "--duration and --requests: give one"),
        (["--rate", "5", "--concurrency", "5"], "--rate and --concurrency: give one"),
        (["--requests", "0"], "'--requests'"),
        (["--stream"], "--stream: http://127.0.0.1:8080 is not an OpenAI URL"),
        (["--data", "/no/rows.jsonl"], "/no/rows.jsonl can't be read"),
        (["--key-file", "/no/key"], "--key-file '/no/key': No such file"),
        (["--hops", "--rate", "5"], "--rate and --hops"),
        (["--hops", "--url", "http://127.0.0.1:1"], "--hops: no process of this machine listens"),
        (["--url", "http://x"] * 27, "--url: 27 are too many"),
    ],
)
def test_bad_input_is_one_line(bench: Bench, arguments: list[str], says: str) -> None:
    code, out, err = bench(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("hem: error: ") and says in err


def test_nobody_listens(bench: Bench, tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    out = tmp_path / "run"
    code, _, err = bench("--url", url, "--out", str(out))
    assert (code, err.count("\n")) == (2, 1)
    assert f"{url} can't be reached: Connection refused; is it up?" in err
    assert list(out.iterdir()) == []
