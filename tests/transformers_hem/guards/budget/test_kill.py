"""Kill -9 at any moment: the ledger holds, and no more was spent than the budget knows of."""

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from predictors.upstream.ledger.verify import verify
from tests.conftest import ROOT
from tests.predictors.upstream.ledger.reading import lines
from tests.transformers_hem.guards.budget.budgets import budget
from tests.transformers_hem.guards.budget.spender import MOST, TASKS

SPENDER = "tests.transformers_hem.guards.budget.spender"
PROCESSES = 2  # that share the budget


def spender(folder: Path, number: int, limit: int) -> subprocess.Popen[bytes]:
    given = (folder / "budget.db", folder / f"egress-{number}.jsonl", limit)
    return subprocess.Popen(
        [sys.executable, "-m", SPENDER, *map(str, given)], stdout=subprocess.PIPE, cwd=ROOT
    )


def kill_at(seconds: float, folder: Path, limit: int) -> None:
    """All of them, each once it has spent for so long."""
    processes = [spender(folder, number, limit) for number in range(PROCESSES)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == b"spends\n"
    time.sleep(seconds)
    for process in processes:
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def check(folder: Path, kills: int, limit: int) -> tuple[int, int]:
    """Tokens that left, and those that the budget knows of."""
    sent = told = open_ = 0
    for number in range(PROCESSES):
        path = folder / f"egress-{number}.jsonl"
        open_ += verify(path).open
        sent += len(lines(path, "intent"))
        for row in lines(path, "outcome"):
            told += row["prompt_tokens"] + row["completion_tokens"]
    in_flight = kills * PROCESSES * TASKS
    assert open_ <= in_flight
    guard = budget(folder / "budget.db", tokens=limit, window=86_400)
    left = guard.left()
    guard.close()
    assert left is not None
    known = limit - int(left["tokens"])
    # What was told, and for each that was under way at a kill at most its estimate.
    assert told <= known <= told + in_flight * MOST
    assert told <= limit and known <= limit
    return sent, known


def kills(folder: Path, count: int, longest: float, limit: int) -> None:
    moments = random.Random(count)
    for number in range(count):
        kill_at(moments.random() * longest, folder, limit)
        sent, known = check(folder, number + 1, limit)
    print(f"{count} kills: {sent} attempts, the budget knows of {known} of {limit} tokens")
    assert sent > count


@pytest.mark.slow
def test_kill_9_at_a_few_moments(tmp_path: Path) -> None:
    kills(tmp_path, 4, 0.3, 20_000)


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_kill_9_at_a_hundred_moments(tmp_path: Path) -> None:
    kills(tmp_path, 100, 0.5, 1_000_000)
