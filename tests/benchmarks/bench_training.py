"""What training a LinearRouter on 10,000 labels takes, and a decision of it on one core."""

import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest

from transformers_hem.algorithms.base import Batch
from transformers_hem.embedded.workshop.train import join
from transformers_hem.labels.labels import read_labels
from transformers_hem.routers.scoring import open_router

pytestmark = pytest.mark.benchmark

LABELS = 10_000
PROGRAM = """
import json, resource, sys, time
from pathlib import Path
from transformers_hem.routers.training import train
data, out = map(Path, sys.argv[1:])
began = time.perf_counter()
train(data, "LinearRouter", out, limit=10_000)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": round(time.perf_counter() - began, 1), "peak_mb": round(peak)}))
"""


def test_training_is_quick_and_a_decision_quicker(shared: Path, tmp_path: Path) -> None:
    join(shared / "data", tmp_path / "rows.jsonl")
    paths = [str(tmp_path / "rows.jsonl"), str(tmp_path / "router")]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *paths], capture_output=True, text=True, check=True
    )
    took = json.loads(done.stdout)
    size = sum(path.stat().st_size for path in (tmp_path / "router").iterdir()) / 1e6
    prompts = read_labels(shared / "data" / "mmlu_mixtral_gpt4.jsonl.gz").queries[:1000]
    row = {
        "benchmark": f"LinearRouter, {LABELS} labels",
        **took,
        "file_mb": round(size, 1),
        "decision_p50_ms": round(decision(str(tmp_path / "router"), prompts), 3),
    }
    print(f"\n{json.dumps(row)}")
    assert took["seconds"] < 60
    assert took["peak_mb"] < 2000
    assert size <= 20
    assert row["decision_p50_ms"] <= 0.5


def decision(router: str, prompts: list[str]) -> float:
    """Median milliseconds to score one prompt."""
    algorithm = open_router(router)
    times = []
    for prompt in prompts:
        began = time.perf_counter()
        algorithm.score(Batch(1, texts=(prompt,)))
        times.append((time.perf_counter() - began) * 1000)
    return median(times)
