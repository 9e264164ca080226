"""What `hem retrain` takes: LinearRouter on 100,000 rows, KernelRouter on a subsample of them.

Rows are the shared tables' queries, several times, each time without a tenth of its words; as
base data, as shadow pairs and as feedback of 200 clients in a store.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.transformers_hem.encoder_routers import minilm as minilm
from tests.transformers_hem.retraining.queries import Query, Store, write_rows
from transformers_hem.embedded.workshop.train import join
from transformers_hem.labels.labels import read_labels
from transformers_hem.routers.training import train

pytestmark = pytest.mark.benchmark

ROWS = int(os.environ.get("HEM_BENCH_ROWS", "100000"))
KERNEL_ROWS = int(os.environ.get("HEM_BENCH_KERNEL_ROWS", "6000"))
BASE, SHADOW = 0.7, 0.06  # shares; the rest is feedback
CLIENTS = 200
SECONDS, MEBIBYTES = 300, 4096


@pytest.fixture(scope="module")
def day(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with base rows, a store, and versions."""
    folder = tmp_path_factory.mktemp("day")
    join(shared / "data", folder / "tables.jsonl")
    rows = list(varied(folder / "tables.jsonl", ROWS))
    base, shadow = round(BASE * ROWS), round(SHADOW * ROWS)
    write_rows(folder / "base.jsonl", rows[:base])
    store, now = Store(folder / "feedback.db"), time.time()
    store.shadows(rows[base : base + shadow : 2], now - ROWS, route="edge")
    store.shadows(rows[base + 1 : base + shadow : 2], now - ROWS, route="cloud")
    said = rows[base + shadow :]
    for client in range(CLIENTS):
        some = said[client::CLIENTS]
        route = "edge" if client % 2 else "cloud"
        store.shadows(some, now - ROWS, route=route, source="user", client=f"client-{client}")
    store.close()
    write_rows(folder / "few.jsonl", rows[:1000])
    train(folder / "few.jsonl", "LinearRouter", folder / "start")
    hem("--router", str(folder / "versions"), "--add", str(folder / "start"))
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


def hem(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "inferencegraph", "retrain", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "algorithm",
    [
        ["LinearRouter"],
        ["KernelRouter", "--limit", str(KERNEL_ROWS), "--encoder", "ENCODER"],
    ],
    ids=lambda each: each[0],
)
def test_a_retraining_is_done_in_time(
    day: Path, algorithm: list[str], request: pytest.FixtureRequest
) -> None:
    if "ENCODER" in algorithm:
        algorithm = [*algorithm[:-1], str(request.getfixturevalue("minilm"))]
    places = ["--router", str(day / "versions"), "--store", str(day / "feedback.db")]
    began = time.perf_counter()
    found = hem(
        *(*places, "--data", str(day / "base.jsonl"), "--algorithm", *algorithm),
        *("--max-quality-loss", "0.1", "--dry-run"),
    )
    row = {
        "benchmark": f"hem retrain, {algorithm[0]}",
        "rows": found["rows"],
        "learned": found["learned"],
        "seconds": round(time.perf_counter() - began, 1),
        "steps": found["seconds"],
        "cpu_seconds": found["cpu_seconds"],
        "peak_mib": found["peak_mebibytes"],
        "why": found["why"],
    }
    print(f"\n{json.dumps(row)}")
    assert row["seconds"] <= SECONDS
    assert found["peak_mebibytes"] <= MEBIBYTES
