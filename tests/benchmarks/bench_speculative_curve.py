"""Milliseconds of a verify step on one core of this CPU, by requests in it and tokens of each, and
a cost model fitted to them. Beside it what a step of the same engine's own answers takes.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import torch

from predictors.contract import Query, Sampling
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.engines.huggingface.loading import load
from tests.benchmarks.speculation import curve, results
from tests.benchmarks.speculation.asked import questions
from tests.benchmarks.speculation.cloud import CLOUD
from tests.benchmarks.speculation.cost import Step, fitted
from tests.benchmarks.speculation.shapes import written

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1200)]

MODELS: Final = ("long-edge", "long-cloud", "16M", "125M")
DECODED: Final = ("long-cloud", "16M")  # their own answers are measured, too
SHORT, LONG = 8, 40  # tokens: the difference is that of steps without the prompt
MOST_ERROR: Final = 0.15  # of the fit, median


@pytest.fixture(autouse=True)
def one_core() -> Iterator[None]:
    """For this thread and those that it starts."""
    before, threads = os.sched_getaffinity(0), torch.get_num_threads()
    os.sched_setaffinity(0, CLOUD)
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    os.sched_setaffinity(0, before)


@pytest.mark.parametrize("name", MODELS)
async def test_the_curve(name: str, tmp_path: Path) -> None:
    folder = written(name, tmp_path / "model") if name[0].isdigit() else f"embedded:{name}"
    settings = HuggingFaceSettings(model_dir=str(folder), threads=1)
    steps = list(curve.measured(load(settings)))
    fit = fitted(steps)
    decode = await decoded(settings) if name in DECODED else []
    results.keep(f"curve-{name}", {"steps": steps, "fit": fit, "decode": decode})
    curve.show(name, steps, fit)
    results.table(
        ["rows", "milliseconds of a step of its own answers"],
        [[step.rows, 1000 * step.seconds] for step in decode],
    )
    assert fit.median <= MOST_ERROR


async def decoded(settings: HuggingFaceSettings) -> list[Step]:
    """One token of so many answers that are written side by side."""
    engine = HuggingFaceEngine(settings)
    await engine.start()

    async def seconds(rows: int, tokens: int) -> float:
        sampling = Sampling(max_tokens=tokens, temperature=0.0, repetition_penalty=1.0)
        queries = [Query(each.text, sampling) for each in questions(rows)]
        began = time.perf_counter()
        await asyncio.gather(*(engine.generate([query]) for query in queries))
        return time.perf_counter() - began

    found = []
    for rows in curve.ROWS:
        await seconds(rows, SHORT)
        short, long = [
            min([await seconds(rows, tokens) for _ in range(3)]) for tokens in (SHORT, LONG)
        ]
        found.append(Step(rows, 1, (long - short) / (LONG - SHORT)))
    await engine.close()
    return found
