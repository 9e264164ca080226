"""The verify side on a GPU, in one run of at most ten minutes: the curve of its steps, the cost
model fitted to it, and tokens a second at saturation beside the same engine's own answers.

    pytest tests/benchmarks/bench_speculative_gpu.py -m benchmark -s

A model of 1.04 billion random bf16 weights stands for a real one: what it says is noise, what it
costs is not. Drafts are replayed. `HEM_BENCH_SHAPE=tiny` tries the script where there is no GPU:
its figures mean nothing then.
"""

import os
import time
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import pytest
import torch

from predictors.contract import Query, Sampling
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from tests.benchmarks.speculation import curve, load, results
from tests.benchmarks.speculation.asked import Asked, answered, questions
from tests.benchmarks.speculation.cost import fitted, served
from tests.benchmarks.speculation.replay import Replay
from tests.benchmarks.speculation.shapes import SHAPES, written

TINY: Final = os.environ.get("HEM_BENCH_SHAPE") == "tiny"
pytestmark = [
    pytest.mark.benchmark,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not (TINY or torch.cuda.is_available()), reason="no GPU"),
]

SHAPE: Final = "tiny" if TINY else "1B"
CURVE_ROWS: Final = (1, 4) if TINY else (1, 2, 4, 8, 16, 32, 64)
ROWS: Final = (1, 4) if TINY else (1, 4, 8, 16, 32, 64)
ACCEPTANCE: Final = (0.8, 0.5, 0.7, 0.9)  # the first one is that of the target
DRAFTED: Final = 4
LIMIT: Final = 16 if TINY else 64
TARGET: Final = 1.5


async def test_the_curve_and_what_is_served(tmp_path: Path) -> None:
    folder = written(SHAPE, tmp_path / "model", "bfloat16")
    engine = HuggingFaceEngine(
        HuggingFaceSettings(
            model_dir=str(folder),
            verify_slots=max(ROWS),
            verify_tokens=256,
            max_batch_size=max(ROWS),
            kv_cache_tokens=64 * 256,
        )
    )
    await engine.start()
    assert engine.loaded is not None
    steps = list(curve.measured(engine.loaded, CURVE_ROWS))
    fit = fitted(steps)
    curve.show(_device(), steps, fit)
    asked = await answered(questions(max(ROWS)), engine.check, frozenset(), LIMIT)
    ways = {"cloud-only": whole_answers(engine)}
    answers = {each.prompt: each.answer for each in asked}
    for acceptance in ACCEPTANCE:
        replay = Replay(answers, acceptance, SHAPES[SHAPE].vocabulary)
        ways[str(acceptance)] = load.rounds(engine.check, replay, DRAFTED, LIMIT, frozenset())
    found: dict[int, dict[str, Any]] = {}
    for rows in ROWS:
        found[rows] = {n: asdict(await load.served(w, asked, rows)) for n, w in ways.items()}
    await engine.close()
    report = {"device": _device(), "steps": steps, "served": found}
    results.keep("gpu", {**report, "fit": fit})
    prompt = len(asked[0].prompt)
    results.table(
        ["rows", *ways, "times at 0.8", "times predicted"],
        [
            [
                rows,
                *(found[rows][way]["tokens_per_second"] for way in ways),
                _times(found[rows]),
                served(fit.cost, rows, DRAFTED, ACCEPTANCE[0], prompt, LIMIT)
                / served(fit.cost, rows, 0, 1, prompt, LIMIT),
            ]
            for rows in ROWS
        ],
    )
    if not TINY:
        assert _times(found[max(ROWS)]) >= TARGET


def whole_answers(engine: HuggingFaceEngine) -> load.Answering:
    sampling = Sampling(max_tokens=LIMIT, temperature=0.0, repetition_penalty=1.0)

    async def answer(asked: Asked) -> AsyncIterator[load.Event]:
        began = time.perf_counter()
        (said,) = await engine.generate([Query(asked.text, sampling)])
        yield load.Event(began, time.perf_counter(), said.completion_tokens or 0)

    return answer


def _times(found: dict[str, Any]) -> float:
    rate, alone = (found[way]["tokens_per_second"] for way in (str(ACCEPTANCE[0]), "cloud-only"))
    return float(rate / alone)


def _device() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
