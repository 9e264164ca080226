"""The verify side: whatever comes in whatever order, it says what the model says alone."""

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
import torch

from predictors.contract import Query, Sampling
from predictors.contract.speculation import (
    Drawing,
    Forgotten,
    OtherModel,
    OtherTokenizer,
    Round,
    Verdict,
    Whole,
)
from predictors.engines.huggingface import HuggingFaceEngine, HuggingFaceSettings
from predictors.engines.huggingface.accepting import Accepted
from predictors.engines.huggingface.identity import identity
from predictors.engines.huggingface.remembering import Remembered
from predictors.engines.huggingface.sequence import Sequence
from predictors.engines.huggingface.verifying import Check
from predictors.errors import EngineError, InvalidRequest
from tests.predictors.engines.huggingface.tiny_llama import write_tiny_llama

pytestmark = pytest.mark.asyncio(loop_scope="module")

SLOTS = 3
LENGTH = 40
GREEDY = Sampling(max_tokens=LENGTH, temperature=0.0, repetition_penalty=1.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HuggingFaceEngine]:
    path: Path = write_tiny_llama(tmp_path_factory.mktemp("endless"), endless=True)
    given = {"threads": 1, "verify_slots": SLOTS, "verify_tokens": 256}
    engine = HuggingFaceEngine(HuggingFaceSettings(model_dir=str(path), **given))
    await engine.start()
    yield engine
    await engine.close()


@dataclass
class Caller:
    """A draft side that knows the answer, and tells its rounds as a test wants."""

    prompt: list[int]
    answer: list[int]
    drawing: Drawing
    max_tokens: int | None = None
    id: str = field(default_factory=lambda: random.randbytes(8).hex())

    def whole(self, done: int) -> Whole:
        return Whole(
            tokens=[*self.prompt, *self.answer[:done]],
            prompt=len(self.prompt),
            drawing=self.drawing,
            max_tokens=self.max_tokens,
        )

    def round(
        self, done: int, draft: list[int], pending: list[int] | None = None, *, told: bool = False
    ) -> Round:
        """Behind `done` tokens of the answer."""
        behind = pending or []
        return Round(
            id=self.id,
            at=len(self.prompt) + done + len(behind),
            draft=draft,
            pending=behind,
            whole=self.whole(done) if told else None,
        )

    async def to_end(
        self, engine: HuggingFaceEngine, drafted: int = 4, right: float = 0.7, seed: int = 0
    ) -> tuple[list[int], int]:
        """Its answer, a round after the other, and how often it was forgotten."""
        chance, tokens, forgotten = random.Random(f"{seed} {self.id}"), list[int](), 0
        known = False
        while (done := len(tokens)) < len(self.answer):
            wanted = self.answer[done : done + drafted][: len(self.answer) - done - 1]
            draft = [token if chance.random() < right else token ^ 1 for token in wanted]
            try:
                verdict = await engine.check(self.round(done, draft, told=not known))
            except Forgotten:
                known, forgotten = False, forgotten + 1
                continue
            known = True
            tokens += verdict.tokens
        return tokens, forgotten


async def callers(
    engine: HuggingFaceEngine, count: int, sampling: Sampling = GREEDY
) -> list[Caller]:
    assert engine.loaded is not None and engine.batches is not None
    queries = [Query(f"{number} {'words ' * (number % 7)}", sampling) for number in range(count)]
    rows = [await Sequence.of(query, engine.loaded, engine.batches.context) for query in queries]
    await asyncio.gather(*map(engine.batches.run, rows))
    drawings = [Drawing.of(sampling, row.key, coupled=True) for row in rows]
    return [
        Caller(row.prompt, row.tokens, drawing) for row, drawing in zip(rows, drawings, strict=True)
    ]


def wrong(tokens: list[int]) -> list[int]:
    return [token ^ 1 for token in tokens]


def said(verdict: Verdict) -> tuple[list[int], int]:
    return verdict.tokens, verdict.passes


async def test_what_is_drafted_right_is_taken_with_the_models_own_token(engine):
    (caller,) = await callers(engine, 1)
    a = caller.answer
    verdict = await engine.check(caller.round(0, [*a[:3], *wrong(a[3:5])], told=True))
    assert said(verdict) == (a[:4], 1) and verdict.accepted == 3
    verdict = await engine.check(caller.round(4, a[4:6]))
    assert said(verdict) == (a[4:7], 1) and verdict.cached == len(caller.prompt) + 3


async def test_a_round_that_is_told_twice_is_answered_alike_without_a_pass(engine):
    (caller,) = await callers(engine, 1)
    draft = [*caller.answer[:2], *wrong(caller.answer[2:4])]
    first = await engine.check(caller.round(0, draft, told=True))
    for told in (True, False):
        again = await engine.check(caller.round(0, draft, told=told))
        assert (again.passes, again.seconds) == (0, 0)
        assert (again.accepted, again.tokens) == (first.accepted, first.tokens)
        assert (again.logprobs, again.margins) == (first.logprobs, first.margins)


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_rounds_ahead_may_come_in_any_order(engine, order):
    (caller,) = await callers(engine, 1)
    a = caller.answer
    rounds = [
        caller.round(0, a[:3], told=True),
        caller.round(0, a[4:7], pending=a[:4], told=True),
        caller.round(0, a[8:11], pending=a[:8], told=True),
    ]
    verdicts = await asyncio.gather(*(engine.check(rounds[place]) for place in order))
    told = {place: verdict.tokens for place, verdict in zip(order, verdicts, strict=True)}
    assert told == {0: a[:4], 1: a[4:8], 2: a[8:12]}
    assert 1 <= sum(verdict.passes for verdict in verdicts) <= 2  # what waits goes together


async def test_a_wrong_guess_costs_no_pass(engine):
    (caller,) = await callers(engine, 1)
    a = caller.answer
    await engine.check(caller.round(0, wrong(a[:3]), told=True))
    stale = await engine.check(caller.round(0, a[4:7], pending=[*wrong(a[:3]), a[3]]))
    assert said(stale) == ([], 0)
    late = await engine.check(caller.round(0, [*wrong(a[:1]), *a[1:6]]))
    assert said(late) == (a[:1], 0)
    assert said(await engine.check(caller.round(1, a[1:4]))) == (a[1:5], 1)


async def test_an_empty_draft_gives_the_next_token_and_a_draft_may_be_shorter_than_is_known(engine):
    (caller,) = await callers(engine, 1)
    a = caller.answer
    assert said(await engine.check(caller.round(0, [], told=True))) == (a[:1], 1)
    assert said(await engine.check(caller.round(0, a[:5]))) == (a[:6], 1)
    assert said(await engine.check(caller.round(1, a[1:3]))) == (a[1:4], 0)


async def test_behind_the_last_token_there_is_nothing(engine):
    (caller,) = await callers(engine, 1)
    caller.max_tokens = 6
    a = caller.answer
    verdict = await engine.check(caller.round(0, a[:8], told=True))
    assert said(verdict) == (a[:6], 1) and verdict.accepted == 6
    assert said(await engine.check(caller.round(4, a[4:9]))) == (a[4:6], 0)
    assert said(await engine.check(caller.round(0, a[8:9], pending=a[:8]))) == ([], 0)
    with pytest.raises(InvalidRequest, match="has ended before token"):
        await engine.check(caller.round(6, a[6:8]))


async def test_who_was_idle_for_longest_is_forgotten_and_may_come_again(engine):
    first, *others = await callers(engine, SLOTS + 1)
    await engine.check(first.round(0, first.answer[:2], told=True))
    for caller in others:
        await engine.check(caller.round(0, caller.answer[:2], told=True))
    with pytest.raises(Forgotten, match="not known here"):
        await engine.check(first.round(3, first.answer[3:5]))
    verdict = await engine.check(first.round(3, first.answer[3:5], told=True))
    assert said(verdict) == (first.answer[3:6], 1) and verdict.cached == 0


@pytest.mark.parametrize("sampling", [GREEDY, Sampling(LENGTH, 1.2, 0.9, seed=5)])
async def test_more_sequences_than_slots_all_get_their_answers(engine, sampling):
    rows = await callers(engine, 4 * SLOTS, sampling)
    for row in rows:
        row.max_tokens = LENGTH
    async with asyncio.timeout(60):
        got = await asyncio.gather(*(row.to_end(engine) for row in rows))
    assert [tokens for tokens, _ in got] == [row.answer for row in rows]
    # Nobody loses a slot while its rounds follow each other.
    assert sum(forgotten for _, forgotten in got) <= len(rows)


async def test_callers_who_pause_for_long_make_room_for_others(engine):
    """None of them says how long its answer is, so that nobody knows when it has ended."""
    rows = await callers(engine, 2 * SLOTS)
    async with asyncio.timeout(30):
        for row in rows:
            assert (await row.to_end(engine, right=1.0, drafted=16))[0] == row.answer


async def test_a_caller_who_leaves_in_the_middle_holds_nothing(engine):
    rows = await callers(engine, 3 * SLOTS)
    leaving = [
        asyncio.ensure_future(engine.check(row.round(0, row.answer[:4], told=True)))
        for row in rows[: 2 * SLOTS]
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0.002)
    for task in leaving:
        task.cancel()
    await asyncio.gather(*leaving, return_exceptions=True)
    async with asyncio.timeout(30):
        got = await asyncio.gather(*(row.to_end(engine) for row in rows))
    assert [tokens for tokens, _ in got] == [row.answer for row in rows]


async def test_own_callers_and_drafts_get_the_same_answers_side_by_side(engine):
    rows = await callers(engine, 8)
    for row in rows:
        row.max_tokens = LENGTH
    checked = asyncio.gather(*(row.to_end(engine) for row in rows[:SLOTS]))
    own = []
    while not checked.done():
        own.append(await callers(engine, 8))
    assert [tokens for tokens, _ in await checked] == [row.answer for row in rows[:SLOTS]]
    assert own
    for again in own:
        assert [one.answer for one in again] == [row.answer for row in rows]


async def test_log_probabilities_are_the_answers_own(engine):
    (caller,) = await callers(engine, 1)
    (answer,) = await engine.generate([Query("0 ", GREEDY)])
    logprobs: list[float] = []
    for begin, end in pairwise([0, 9, 20, 31, LENGTH]):
        draft = caller.answer[begin : end - 1]
        verdict = await engine.check(caller.round(begin, draft, told=begin == 0))
        logprobs += verdict.logprobs
    assert len(logprobs) == LENGTH
    assert sum(logprobs) / LENGTH == pytest.approx(answer.mean_logprob, abs=1e-4)


@pytest.mark.parametrize("done", [0, 3, 9])
async def test_a_round_that_tells_less_than_is_known_gets_the_same_answer(engine, done):
    """A sequence that was forgotten, and told again by a later round, which came first."""
    (caller,) = await callers(engine, 1)
    a = caller.answer
    await engine.check(caller.round(10, a[10:14], told=True))
    drafts = ([], a[done : done + 3], [a[done], *wrong(a[done + 1 : done + 3])])
    for draft in drafts:
        verdict = await engine.check(caller.round(done, draft, told=True))
        assert verdict.tokens == a[done : done + verdict.accepted + 1]
    assert verdict.accepted == 1
    verdict = await engine.check(caller.round(done + 2, a[done + 2 : done + 6]))
    assert (verdict.accepted, verdict.tokens) == (4, a[done + 2 : done + 7])


async def test_what_is_computed_for_a_caller_who_left_is_thrown_away_once_another_begins_anew(
    engine,
):
    (caller,) = await callers(engine, 1)
    sequence = Remembered.of(0, caller.whole(5))
    left = Check(sequence, caller.round(5, caller.answer[5:8]), engine.loaded)
    assert left.feed() is not None
    sequence.begin(caller.whole(2))
    logits = torch.zeros(4, engine.loaded.vocabulary)
    assert left.checked(logits) is None
    left.keep(Accepted(3, caller.answer[5:9], [0.0] * 4, [0.0] * 4))
    assert (sequence.tokens, sequence.said) == (caller.whole(2).tokens, [])
    assert sequence.cached < len(sequence.tokens)
    assert left.feed() is None


async def test_whoever_tells_a_whole_with_other_tokens_begins_anew(engine):
    one, other = await callers(engine, 2)
    other.id = one.id
    for caller in (one, other, one):
        verdict = await engine.check(caller.round(0, caller.answer[:3], told=True))
        assert said(verdict) == (caller.answer[:4], 1)
    with pytest.raises(Forgotten, match="tokens, not"):
        await engine.check(one.round(9, one.answer[9:11]))


async def test_it_says_what_a_pass_costs(engine):
    model = engine.verify_model()
    assert (model.slots, model.room) == (SLOTS, 256)
    assert model.cost is not None and model.cost.seconds(1, 1) > 0
    assert model.cost.seconds(3, 15) >= model.cost.seconds(3, 3) >= model.cost.seconds(1, 1)


async def test_drafts_for_a_model_with_another_tokenizer_are_refused(engine):
    (caller,) = await callers(engine, 1)
    round = caller.round(0, caller.answer[:3], told=True)
    told = {"ours": engine.verify_model().tokenizer[:16], "another": "0" * 16}
    ours, another = (
        round.told(round.whole.model_copy(update={"tokenizer": tokenizer}))
        for tokenizer in told.values()
    )
    assert said(await engine.check(ours)) == (caller.answer[:4], 1)
    with pytest.raises(OtherTokenizer):
        await engine.check(another)


async def test_a_model_that_came_in_the_place_of_another_refuses_its_sequences(engine):
    (caller,) = await callers(engine, 1)
    round = caller.round(0, caller.answer[:3], told=True)
    ours, another = (
        round.told(round.whole.model_copy(update={"model": model}))
        for model in (engine.verify_model().identity[:16], "0" * 16)
    )
    verdict = await engine.check(ours)
    assert said(verdict) == (caller.answer[:4], 1)
    assert verdict.cost == engine.verify_model().cost
    with pytest.raises(OtherModel, match="other weights, end tokens or room"):
        await engine.check(another)


async def test_what_gives_other_verdicts_has_another_identity(engine, tmp_path):
    path = write_tiny_llama(tmp_path, endless=True)
    of = partial(identity, path, engine.loaded, "none")
    known = of("t", 256)
    assert known == of("t", 256)
    (tmp_path / "README.md").write_text("beside it")
    assert known == of("t", 256)
    ends = replace(engine.loaded, end_tokens=frozenset([9]))
    others = [
        identity(path, ends, "none", "t", 256),
        identity(path, engine.loaded, "4bit", "t", 256),
    ]
    assert len({known, of("t", 255), of("u", 256), *others}) == 5
    weights = path / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-3] ^= 1
    weights.write_bytes(data)
    assert of("t", 256) != known


async def test_a_sequence_over_which_the_model_fails_fails_alone(engine):
    one, other = await callers(engine, 2)
    poisoned = 200
    one.prompt = [*one.prompt, poisoned]
    assert poisoned not in [*other.prompt, *other.answer]
    weights = engine.loaded.model.get_input_embeddings().weight.data
    before = weights[poisoned].clone()
    weights[poisoned] = float("nan")
    try:
        failed, fine = await asyncio.gather(
            engine.check(one.round(0, [3, 4], told=True)),
            engine.check(other.round(0, other.answer[:2], told=True)),
            return_exceptions=True,
        )
    finally:
        weights[poisoned] = before
    assert isinstance(failed, EngineError) and "NaN" in str(failed)
    assert said(fine) == (other.answer[:3], 1)
    # What was computed of it is not taken for good later.
    again = await engine.check(one.round(0, [3, 4], told=True))
    fresh = replace(one, id="fresh")
    assert again.tokens == (await engine.check(fresh.round(0, [3, 4], told=True))).tokens
