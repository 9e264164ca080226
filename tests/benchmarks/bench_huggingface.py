"""What continuous batching gains: the same questions one after another and 16 at a time.

One after another three ways: through the batch, as everybody else's queries go; alone, which is
what a single caller gets from a small model; and by transformers' plain `generate`. `ratio` is 16
at a time over one after another through the batch, `over_alone` over what a single caller gets.

Twice for each model of the pair: with its own answers, a handful of tokens after a prompt of
thirty, where half the work is prompts, which no batching makes cheaper; and with answers of 64
tokens, for which the same models are told that nothing ends an answer.
"""

import asyncio
import json
import shutil
import time
from pathlib import Path
from statistics import median

import psutil
import pytest

from predictors.contract import Query, Sampling
from predictors.embedded import directory
from predictors.embedded.workshop.questions import test_questions
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.engines.huggingface.continuous import ContinuousBatches

pytestmark = pytest.mark.benchmark

CONCURRENCY = 16
ROUNDS = 5
IDLE_SECONDS = 3.0
LONG_TOKENS = 64
GREEDY = Sampling(max_tokens=LONG_TOKENS, temperature=0.0, repetition_penalty=1.0)


def queries(count: int) -> list[Query]:
    return [Query(question.query, GREEDY) for question in test_questions()[:count]]


def endless(model: str, into: Path) -> Path:
    """A copy of a shipped model for which the padding token, never chosen, ends an answer."""
    shutil.copytree(directory(model), into)
    config = json.loads((into / "config.json").read_text())
    generation = {"eos_token_id": config["pad_token_id"]}
    (into / "generation_config.json").write_text(json.dumps(generation))
    return into


async def tokens_per_second(
    engine: HuggingFaceEngine, asked: list[Query], concurrency: int
) -> float:
    waiting = iter(asked)
    tokens = 0
    started = time.perf_counter()

    async def ask() -> None:
        nonlocal tokens
        for query in waiting:
            (answer,) = await engine.generate([query])
            tokens += answer.completion_tokens or 0

    await asyncio.gather(*(ask() for _ in range(concurrency)))
    return tokens / (time.perf_counter() - started)


async def started_engine(model_dir: str, batching: str) -> HuggingFaceEngine:
    # One thread: models of this size gain nothing from more, and several threads that wait for
    # each other on a busy machine make a ratio of chance.
    engine = HuggingFaceEngine(
        HuggingFaceSettings(model_dir=model_dir, batching=batching, threads=1)
    )
    await engine.start()
    return engine


async def measure(model_dir: str, asked: list[Query]) -> dict[str, float]:
    """Medians over rounds; the ways take turns, so that a busy machine slows all."""
    continuous = await started_engine(model_dir, "continuous")
    plain = await started_engine(model_dir, "plain")
    batches = continuous.batches
    assert isinstance(batches, ContinuousBatches) and batches.alone
    ways = {
        "concurrent": (continuous, CONCURRENCY, True),
        "sequential_in_batch": (continuous, 1, False),
        "sequential": (continuous, 1, True),
        "plain_sequential": (plain, 1, True),
    }
    rates: dict[str, list[float]] = {way: [] for way in ways}
    try:
        for _ in range(ROUNDS):
            for way, (engine, concurrency, alone) in ways.items():
                batches.alone = alone
                rates[way].append(await tokens_per_second(engine, asked, concurrency))
        idle = await idle_cpu_percent()
    finally:
        await continuous.close()
        await plain.close()
    return {
        "ratio": _ratio(rates["concurrent"], rates["sequential_in_batch"]),
        "over_alone": _ratio(rates["concurrent"], rates["sequential"]),
        "alone_over_batch": _ratio(rates["sequential"], rates["sequential_in_batch"]),
        **{way: round(median(values)) for way, values in rates.items()},
        "idle_cpu_percent": idle,
        "resident_mb": psutil.Process().memory_info().rss >> 20,
    }


def _ratio(one: list[float], other: list[float]) -> float:
    """Median over rounds."""
    return round(median(a / b for a, b in zip(one, other, strict=True)), 2)


async def idle_cpu_percent() -> float:
    """Of one core, for the whole process: two engines without work."""
    process = psutil.Process()
    process.cpu_percent()
    await asyncio.sleep(IDLE_SECONDS)
    return process.cpu_percent()


@pytest.mark.parametrize("model", ["edge", "cloud"])
async def test_sixteen_at_once_are_at_least_five_times_as_fast(model: str, tmp_path: Path) -> None:
    row = await measure(str(endless(model, tmp_path / model)), queries(CONCURRENCY))
    print(json.dumps({"benchmark": "huggingface", "model": model, "answers": LONG_TOKENS, **row}))
    assert row["ratio"] >= 5
    assert row["alone_over_batch"] >= 1.1
    assert row["idle_cpu_percent"] < 5


@pytest.mark.parametrize("model", ["edge", "cloud"])
async def test_sixteen_at_once_are_faster_also_with_short_answers(model: str) -> None:
    row = await measure(f"embedded:{model}", queries(4 * CONCURRENCY))
    print(json.dumps({"benchmark": "huggingface", "model": model, "answers": "its own", **row}))
    assert row["ratio"] >= 2
