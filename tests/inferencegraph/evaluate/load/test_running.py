"""Whole runs on loopback: first requests, warm-up, turns, figures, the server's processes."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE, Popen

import numpy as np
import psutil
import pytest

from inferencegraph.evaluate.load.harness import HarnessUse, bottleneck
from inferencegraph.evaluate.load.plan import Load
from inferencegraph.evaluate.load.processes import processes_of
from inferencegraph.evaluate.load.questions import Question
from inferencegraph.evaluate.load.running import Run, execute
from inferencegraph.evaluate.load.summary import comparisons, summaries
from inferencegraph.evaluate.load.target import target
from predictors.errors import UpstreamError
from tests.conftest import free_port
from tests.inferencegraph.evaluate.load.served import Asked, served, v2, whole

QUESTIONS = [Question("row", text=f"question {number}") for number in range(7)]
CLOSED = Load("closed", (2.0,), None, 8, 0.0, 4, 0)


async def executed(run: Run) -> Run:
    await execute(run, QUESTIONS, {"max_tokens": 3}, asyncio.Event(), timeout=5)
    return run


def run(load: Load, *urls: str) -> Run:
    targets = [target(name, url, stream=False) for name, url in zip("ABC", urls, strict=False)]
    return Run(load, targets)


async def test_two_targets_are_asked_the_same_questions_in_turns() -> None:
    with served() as server:
        made = await executed(run(CLOSED, f"{server.url}/a", f"{server.url}/b"))
    assert [asked.path for asked in server.asked[:2]] == ["/a", "/b"]
    paths = "".join(asked.path[1] for asked in server.asked[2:])
    assert paths == "aabbbbaaaabbbbaa"
    by_path = {p: [a.text for a in server.asked if a.path == p] for p in ("/a", "/b")}
    assert sorted(by_path["/a"]) == sorted(by_path["/b"])
    assert server.asked[0].body["parameters"] == {"max_tokens": 3}
    assert [(b.target.name, b.number) for b in made.blocks[:4]] == [
        ("A", 0),
        ("B", 0),
        ("B", 1),
        ("A", 1),
    ]


async def test_the_warm_up_does_not_count() -> None:
    with served() as server:
        made = await executed(run(replace(CLOSED, blocks=1, warmup=0.1), server.url))
    (summary,) = summaries(made)
    assert summary.requests == 8
    assert len(server.asked) > 1 + 8


async def test_requests_at_a_rate_leave_at_the_same_times_for_both() -> None:
    load = Load("open", (200.0,), 0.2, None, 0.0, 2, 3)
    with served() as server:
        made = await executed(run(load, f"{server.url}/a", f"{server.url}/b"))
    a, b = summaries(made)
    assert a.requests == b.requests > 0
    starts = {}
    for block in made.blocks:
        times = [record.intended for record in block.records]
        gaps = [round(time - times[0], 6) for time in sorted(times)]
        assert starts.setdefault(block.number, gaps) == pytest.approx(gaps, abs=1e-4)


async def test_figures_are_of_what_was_answered() -> None:
    async def every_fourth_fails(asked: Asked) -> bytes | None:
        number = len(server.asked)
        if number % 4 == 0:
            return whole(b'{"error": "full"}', 503)
        return whole(v2(tokens=3, hem_route="edge" if number % 2 else "cloud"))

    with served(every_fourth_fails) as server:
        made = await executed(run(replace(CLOSED, requests=20, blocks=1), server.url))
    (summary,) = summaries(made)
    assert (summary.requests, summary.answered, summary.failed) == (20, 15, {"503": 5})
    assert summary.tokens == 45
    assert summary.tokens_per_second == pytest.approx(45 / summary.seconds)
    assert summary.requests_per_second == pytest.approx(15 / summary.seconds)
    assert summary.edge_share == pytest.approx(10 / 15)
    p50, p95, p99, most = (summary.latency[name] or 0.0 for name in ("p50", "p95", "p99", "max"))
    assert 0 < p50 <= p95 <= p99 <= most
    assert summary.ttft["p50"] is None


async def test_the_slower_of_two_is_told_with_an_interval() -> None:
    async def by_path(asked: Asked) -> bytes:
        await asyncio.sleep(0.004 if asked.path == "/a" else 0.03)
        return whole(v2())

    load = Load("closed", (1.0,), None, 40, 0.0, 10, 0)
    with served(by_path) as server:
        made = await executed(run(load, f"{server.url}/a", f"{server.url}/b"))
    (comparison,) = comparisons(made)
    rate, median = (comparison.ratios[n] for n in ("requests_per_second", "latency_p50"))
    assert rate is not None and median is not None
    assert rate.high < 1 < median.low
    assert (comparison.first, comparison.second) == ("A", "B")


async def test_a_first_request_goes_ahead_alone() -> None:
    async def refuses(asked: Asked) -> bytes:
        return whole(b'{"error": "no such model"}', 404)

    with served(refuses) as server, pytest.raises(UpstreamError) as error:
        await executed(run(replace(CLOSED, levels=(64.0,)), server.url))
    assert str(error.value) == f"{server.url} answered 404: no such model"
    assert len(server.asked) == 1


async def test_nobody_listens() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(UpstreamError, match="can't be reached: Connection refused; is it up"):
        await executed(run(CLOSED, url))


async def test_an_openai_target_asks_for_the_first_model_that_is_listed() -> None:
    async def answer(asked: Asked) -> bytes:
        if asked.path == "/v1/models":
            return whole(b'{"data": [{"id": "first"}, {"id": "second"}]}')
        return whole(b'{"choices": [{"message": {"content": "4"}}]}')

    with served(answer) as server:
        made = await executed(run(replace(CLOSED, blocks=1), f"{server.url}/v1"))
    assert made.targets[0].model == "first"
    assert {a.body.get("model") for a in server.asked if "completions" in a.path} == {"first"}
    assert server.asked[-1].body["messages"][0]["role"] == "user"


LISTENER = """
import socket, subprocess, sys, threading
if sys.argv[1:]:
    bytearray(30_000_000); print("child", flush=True); sys.stdin.read()
else:
    child = subprocess.Popen([sys.executable, __file__, "child"], stdin=subprocess.PIPE)
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        sys.stdin.readline()
        sum(range(8_000_000))
        print("computed", flush=True)
        sys.stdin.read()
    child.communicate()
"""


def test_memory_and_processor_time_are_those_of_the_listener_and_its_children(
    tmp_path: Path,
) -> None:
    script = tmp_path / "listener.py"
    script.write_text(LISTENER)
    with Popen([sys.executable, str(script)], stdin=PIPE, stdout=PIPE, text=True) as listener:
        assert listener.stdout and listener.stdin
        lines = {listener.stdout.readline().strip(), listener.stdout.readline().strip()}
        port = next(int(line) for line in lines if line != "child")
        found = processes_of(f"http://localhost:{port}")
        assert found is not None and found.pids == [listener.pid]
        with found.watched() as use:
            print(file=listener.stdin, flush=True)
            assert listener.stdout.readline() == "computed\n"
        assert use.processes == 2
        alone = psutil.Process(listener.pid).memory_info().rss
        assert use.peak_bytes >= use.rss_bytes > alone
        assert 0.02 < use.cpu_seconds < 30
        listener.stdin.close()


def test_processes_elsewhere_and_ones_own_are_not_told() -> None:
    assert processes_of(f"http://127.0.0.1:{free_port()}") is None
    assert processes_of("http://192.0.2.1:80") is None
    with served() as server:
        assert processes_of(server.url) is None


@pytest.mark.parametrize(
    ("cpu", "late", "latency", "says"),
    [
        (0.95, 0.0, 1.0, "it used 95% of a core"),
        (0.2, 0.005, 0.010, "it was up to 5.0 ms late"),
        (0.2, 0.005, 0.100, None),
        (0.2, 0.0015, 0.001, None),
        (0.2, None, None, None),
    ],
)
def test_the_harness_says_when_it_is_the_bottleneck(
    cpu: float, late: float | None, latency: float | None, says: str | None
) -> None:
    found = bottleneck(HarnessUse(cpu, 1.0, np.empty(0), 0.5), late, latency)
    assert (found is None) if says is None else (found or "").startswith(says)
