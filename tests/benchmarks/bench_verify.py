"""What the verify side of speculative decoding costs beside the model itself, and what it serves.

`pass`: a check of 1, 4 and 8 rows of 1, 5 and 9 tokens, over a bare forward of the model of as many
on transformers' own cache. `capacity`: tokens a second of a core, over those of the same engine's
own answers, with 4 drafted tokens a round of which 0.8 are right each. In processor time of this
process, so that a busy machine does little to the ratios; HTTP is left out of both.
"""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Awaitable, Generator, Iterable
from contextlib import suppress
from pathlib import Path
from statistics import median

import pytest
import torch
from transformers import DynamicCache

from predictors.contract import Query, Sampling
from predictors.contract.speculation import Drawing, Round, Whole
from predictors.embedded import directory
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.engines.huggingface.sequence import Sequence
from tests.predictors.engines.huggingface.tiny_llama import write_tiny_llama

pytestmark = pytest.mark.benchmark

ROUNDS = 5
ANSWERS = 3  # of each caller
PASSES = 40
DRAFTED = 4
RIGHT = 0.8
ANSWER = 64
PROMPT = 64
# 16 million parameters.
LARGE = {
    "hidden_size": 384,
    "intermediate_size": 1024,
    "num_hidden_layers": 9,
    "num_attention_heads": 6,
    "num_key_value_heads": 6,
    "initializer_range": 0.05,
}
GREEDY = Sampling(max_tokens=ANSWER, temperature=0.0, repetition_penalty=1.0)
PENALISED = Sampling(max_tokens=ANSWER, temperature=0.0, repetition_penalty=1.05)


@pytest.fixture(params=["long-cloud", "16M"])
async def engine(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[HuggingFaceEngine]:
    large = request.param == "16M"
    given = write_tiny_llama(tmp_path, endless=True, **LARGE) if large else directory(request.param)
    engine = HuggingFaceEngine(
        HuggingFaceSettings(model_dir=str(given), threads=1, verify_slots=16, verify_tokens=256)
    )
    await engine.start()
    yield engine
    await engine.close()


class Replayed:
    """A sequence whose answer is known: a drafter that is right in a share of its tokens."""

    def __init__(self, sequence: Sequence, sampling: Sampling, key: int) -> None:
        self.prompt, self.answer = sequence.prompt, sequence.tokens
        self.drawing = Drawing.of(sampling, 0, coupled=True)
        self._random = random.Random(key)

    def draft(self, done: int, count: int, right: float = RIGHT) -> list[int]:
        wanted = self.answer[done : done + count]
        return [token if self._random.random() < right else token ^ 1 for token in wanted]

    def rounds(self) -> Generator[Round, int | None, None]:
        """For a caller who sends how many tokens the last one gave."""
        done = 0
        whole = Whole(tokens=self.prompt, prompt=len(self.prompt), drawing=self.drawing)
        while done < len(self.answer):
            at = len(self.prompt) + done
            draft = self.draft(done, min(DRAFTED, len(self.answer) - done - 1))
            got = yield Round(id="-", at=at, draft=draft, whole=None if done else whole)
            done += got or 0


async def known(
    engine: HuggingFaceEngine, sampling: Sampling, count: int, at_once: int
) -> list[Replayed]:
    """`count` of the engine's own answers."""
    assert engine.loaded is not None and engine.batches is not None
    texts = [f"{number} is the first of many words, and then comes " for number in range(count)]
    queries = [Query((text * 3)[:PROMPT], sampling) for text in texts]
    rows = [await Sequence.of(query, engine.loaded, engine.batches.context) for query in queries]
    await in_lanes(map(engine.batches.run, rows), at_once)
    return [Replayed(row, sampling, place) for place, row in enumerate(rows)]


async def in_lanes(work: Iterable[Awaitable[None]], at_once: int) -> None:
    """So many at a time, until the last one has begun and ended."""
    waiting = iter(work)

    async def lane() -> None:
        for each in waiting:
            await each

    await asyncio.gather(*(lane() for _ in range(at_once)))


async def drafted(engine: HuggingFaceEngine, row: Replayed) -> None:
    rounds, id = row.rounds(), random.randbytes(6).hex()
    given, tokens = None, list[int]()
    with suppress(StopIteration):
        while True:
            verdict = await engine.check(rounds.send(given).model_copy(update={"id": id}))
            given = len(verdict.tokens)
            tokens += verdict.tokens
    assert tokens == row.answer


async def checked(engine: HuggingFaceEngine, rows: list[Replayed], at_once: int) -> float:
    """Tokens a second of processor time."""
    began = time.process_time()
    await in_lanes((drafted(engine, row) for row in rows), at_once)
    return sum(len(row.answer) for row in rows) / (time.process_time() - began)


async def answered(
    engine: HuggingFaceEngine, sampling: Sampling, count: int, at_once: int
) -> float:
    began = time.process_time()
    rows = await known(engine, sampling, count, at_once)
    return sum(len(row.answer) for row in rows) / (time.process_time() - began)


@pytest.mark.parametrize("sampling", [GREEDY, PENALISED], ids=["plain", "penalised"])
async def test_capacity(engine: HuggingFaceEngine, sampling: Sampling) -> None:
    shown = {}
    for at_once in (1, 4, 8):
        count = ANSWERS * at_once
        rows = await known(engine, sampling, count, at_once)
        ratios, rates = [], []
        for _ in range(ROUNDS):
            rates.append(await checked(engine, rows, at_once))
            ratios.append(rates[-1] / await answered(engine, sampling, count, at_once))
        shown[at_once] = {"ratio": round(median(ratios), 2), "tokens/s": round(median(rates))}
    print(json.dumps({"benchmark": "verify capacity", **_named(engine, sampling), **shown}))
    assert min(shown[1]["ratio"], shown[4]["ratio"]) >= 1.5 and shown[8]["ratio"] >= 1.2


@torch.no_grad()
def bare(engine: HuggingFaceEngine, rows: int, tokens: int, times: int) -> float:
    """Seconds of a forward."""
    assert engine.loaded is not None
    torch.set_num_threads(1)  # of this thread, as that of the checks
    model = engine.loaded.model
    cache = DynamicCache(config=model.config)
    model(input_ids=torch.randint(5, 250, (rows, PROMPT)), past_key_values=cache)
    given = torch.randint(5, 250, (rows, tokens))
    spent = []
    for _ in range(times):
        began = time.process_time()
        model(input_ids=given, past_key_values=cache)
        spent.append(time.process_time() - began)
        cache.crop(-tokens)
    return median(spent)


async def passes(engine: HuggingFaceEngine, rows: list[Replayed], tokens: int, times: int) -> float:
    """Seconds of a check of all rows at once, the event loop's part included. All that is drafted
    is wrong, so that each of them gives one token."""
    names = [random.randbytes(6).hex() for _ in rows]
    spent = []
    for done in range(times):
        rounds = []
        for name, row in zip(names, rows, strict=True):
            known = [*row.prompt, *row.answer[:done]]
            whole = Whole(tokens=known, prompt=len(row.prompt), drawing=row.drawing)
            draft = row.draft(done, tokens - 1, right=0.0)
            told = None if done else whole
            rounds.append(Round(id=name, at=len(known), draft=draft, whole=told))
        began = time.process_time()
        await asyncio.gather(*map(engine.check, rounds))
        spent.append(time.process_time() - began)
    return median(spent[1:])


@pytest.mark.parametrize("sampling", [GREEDY, PENALISED], ids=["plain", "penalised"])
async def test_a_pass_costs_little_more_than_the_model(
    engine: HuggingFaceEngine, sampling: Sampling
) -> None:
    rows = await known(engine, sampling, 8, 8)
    shown = {}
    for count in (1, 4, 8):
        for tokens in (1, 5, 9):
            ratios, spent = [], []
            for _ in range(ROUNDS):
                spent.append(await passes(engine, rows[:count], tokens, PASSES))
                ratios.append(spent[-1] / bare(engine, count, tokens, PASSES))
            shown[f"{count}x{tokens}"] = [round(median(ratios), 2), round(median(spent) * 1e3, 2)]
    print(json.dumps({"benchmark": "verify pass", **_named(engine, sampling), **shown}))
    assert max(ratio for ratio, _ in shown.values()) < 2


def _named(engine: HuggingFaceEngine, sampling: Sampling) -> dict[str, object]:
    assert engine.loaded is not None
    millions = round(engine.loaded.model.num_parameters() / 1e6, 1)
    return {"millions": millions, "penalty": sampling.repetition_penalty}
