"""What `hem retrain` takes: LinearRouter on 100,000 rows, KernelRouter on its subsample of them.

    pytest tests/benchmarks/bench_retrain.py -m benchmark -s

The real command on a real SQLite store: base rows in a file, shadow pairs and feedback of 200
clients in the store. Rows are the shared tables' queries, several times, each time without a tenth
of its words. Seconds are the command's, CPU seconds and the peak of resident memory those of
its process and all below it. It runs on two processors where the machine has more.

HEM_BENCH_BEFORE names another checkout, whose command is run on the same store first.
HEM_BENCH_ROWS: with fewer rows it is a try.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.transformers_hem.encoder_routers import minilm as minilm
from tests.transformers_hem.retraining.queries import Query, Store, write_rows
from transformers_hem.embedded.workshop.train import join
from transformers_hem.labels.labels import read_labels
from transformers_hem.retraining.wanted import LIMITS
from transformers_hem.routers.training import train

pytestmark = pytest.mark.benchmark

ROWS = int(os.environ.get("HEM_BENCH_ROWS", "100000"))
BEFORE = os.environ.get("HEM_BENCH_BEFORE")
CHECKOUTS = {**({"before": BEFORE} if BEFORE else {}), "after": str(Path(__file__).parents[2])}
BASE, SHADOW = 0.7, 0.06  # shares; the rest is feedback
CLIENTS = 200
SECONDS, MEBIBYTES, PROCESSORS = 300, 4096, 2
ALGORITHMS = {
    "LinearRouter": ["--algorithm", "LinearRouter"],
    # As many rows as it takes by itself, for who is there to compare with.
    "KernelRouter": ["--algorithm", "KernelRouter", "--limit", str(LIMITS["KernelRouter"])],
}


@pytest.fixture(scope="module")
def day(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with base rows, a store, and versions."""
    folder = tmp_path_factory.mktemp("day")
    join(shared / "data", folder / "tables.jsonl")
    rows = list(varied(folder / "tables.jsonl", ROWS))
    base, shadow = round(BASE * ROWS), round(SHADOW * ROWS)
    write_rows(folder / "base.jsonl", rows[:base])
    store, now = Store(folder / "feedback.db"), time.time()
    first = (
        now - shadow
    )  # one pair of each side a second, and one client after the other beside them
    store.shadows(rows[base : base + shadow : 2], first, route="edge")
    store.shadows(rows[base + 1 : base + shadow : 2], first, route="cloud")
    said = rows[base + shadow :]
    for client in range(CLIENTS):
        some = said[client::CLIENTS]
        route = "edge" if client % 2 else "cloud"
        at = first + client * shadow / 2 / CLIENTS
        store.shadows(some, at, route=route, source="user", client=f"client-{client}")
    store.close()
    write_rows(folder / "few.jsonl", rows[:1000])
    train(folder / "few.jsonl", "LinearRouter", folder / "start")
    run(CHECKOUTS["after"], "--router", str(folder / "versions"), "--add", str(folder / "start"))
    return folder


def varied(table: Path, count: int) -> Iterator[Query]:
    labels, chance = read_labels(table), random.Random(0)
    sides = list(zip(labels.queries, labels.edge, labels.cloud, strict=True))
    for number in range(count):
        if number % len(sides) == 0:
            chance.shuffle(sides)
        query, edge, cloud = sides[number % len(sides)]
        words = [word for word in query.split(" ") if chance.random() > 0.1]
        yield " ".join([*words, str(number)]), int(edge), int(cloud)


@dataclass(frozen=True, slots=True)
class Ran:
    told: dict[str, Any]
    seconds: float
    cpu_seconds: float
    peak_mebibytes: int


def run(checkout: str, *arguments: str) -> Ran:
    """`hem retrain` of that checkout."""
    command = [sys.executable, "-m", "inferencegraph", "retrain", "--json", *arguments]
    environment = {**os.environ, "PYTHONPATH": checkout}
    began = time.perf_counter()
    with psutil.Popen(
        command, cwd=checkout, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        process.cpu_affinity(process.cpu_affinity()[:PROCESSORS])
        cpu, peak = 0.0, 0
        while process.poll() is None:
            found = [_taken(each) for each in _tree(process)]
            cpu = max(cpu, sum(each for each, _ in found))
            peak = max(peak, sum(each for _, each in found))
            time.sleep(0.1)
        seconds, printed = time.perf_counter() - began, process.stdout.read()
    assert process.returncode == 0
    return Ran(json.loads(printed), seconds, cpu, peak // 2**20)


def _tree(process: psutil.Process) -> list[psutil.Process]:
    try:
        return [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _taken(process: psutil.Process) -> tuple[float, int]:
    """CPU seconds, with those of processes that it waited for, and bytes that are resident; none
    of one that has just ended."""
    try:
        times, resident = process.cpu_times(), process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0.0, 0
    children = times.children_user + times.children_system
    return times.user + times.system + children, resident


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("code", CHECKOUTS)
def test_a_retraining_is_done_in_time(
    day: Path, algorithm: str, code: str, request: pytest.FixtureRequest
) -> None:
    arguments = list(ALGORITHMS[algorithm])
    if algorithm == "KernelRouter":
        arguments += ["--encoder", str(request.getfixturevalue("minilm"))]
    places = ["--router", str(day / "versions"), "--store", str(day / "feedback.db")]
    rows = ["--data", str(day / "base.jsonl"), "--max-quality-loss", "0.1", "--dry-run"]
    ran = run(CHECKOUTS[code], *places, *rows, *arguments)
    told = ran.told
    row = {
        "benchmark": f"hem retrain, {algorithm}, {code}",
        "rows": told["rows"],
        "learned": told["learned"],
        "judged_by": told["judged_by"],
        "seconds": round(ran.seconds, 1),
        "cpu_seconds": round(ran.cpu_seconds, 1),
        "peak_mib": ran.peak_mebibytes,
        "steps": told["seconds"],
        "compared": told["compared"],
        "training": told["training"],
        "why": told["why"],
    }
    print(f"\n{json.dumps(row)}")
    if code == "after":
        assert ran.seconds <= SECONDS
        assert ran.peak_mebibytes <= MEBIBYTES
