"""How long `hem evaluate` takes to route 14,000 recorded rows by five systems, with intervals,
comparisons and report, and how much memory."""

import json
import os
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.inferencegraph.running_hem import HEM

pytestmark = pytest.mark.benchmark

ROWS = 14_000
LONGEST_SECONDS, LARGEST_MEGABYTES = 60, 1_000


def rows(path: Path) -> None:
    random = np.random.default_rng(0)
    words = np.array([f"word{n}" for n in range(3_000)])
    with path.open("w") as file:
        for number in range(ROWS):
            row = {
                "id": number,
                "query": " ".join(random.choice(words, 60)),
                "subject": f"subject {number % 57}",
                "edge_correct": bool(random.random() < 0.6),
                "cloud_correct": bool(random.random() < 0.8),
                "edge_mean_logprob": -float(random.exponential(0.3)),
                "edge_prompt_tokens": 80,
                "edge_completion_tokens": 5,
                "cloud_prompt_tokens": 80,
                "cloud_completion_tokens": 5,
                "edge_latency": float(random.exponential(0.1)),
                "cloud_latency": float(random.exponential(0.6)),
            }
            file.write(json.dumps(row) + "\n")


def test_a_replay_of_14000_rows(tmp_path: Path) -> None:
    rows(tmp_path / "rows.jsonl")
    (tmp_path / "bench.yaml").write_text(
        "name: replay\ndata: rows.jsonl\nsystems:\n"
        "  - EdgeOnly\n  - CloudOnly\n  - OracleRouter\n"
        "  - {algorithm: RandomRouter, threshold: 0.5}\n"
        "  - {algorithm: ConfidenceRouter, threshold: 0.3}\n"
    )
    command = [*HEM, "evaluate", "-f", str(tmp_path / "bench.yaml"), "--out", str(tmp_path / "out")]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    processor = usage.ru_utime + usage.ru_stime
    megabytes = usage.ru_maxrss / 1024
    print(f"\n{ROWS} rows: {wall:.1f} s, {processor:.1f} s of the processor, {megabytes:.0f} MB")
    assert os.waitstatus_to_exitcode(status) == 0
    assert processor < 2 * LONGEST_SECONDS and megabytes < LARGEST_MEGABYTES
