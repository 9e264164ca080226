"""What a batch draws, and its penalties, against one row after the other by the book."""

import random
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from predictors.contract import Query, Sampling
from predictors.engines.huggingface import drawing
from predictors.engines.huggingface.drawing import draw
from predictors.engines.huggingface.penalties import Penalties
from predictors.engines.huggingface.sampling import Sampler
from predictors.engines.huggingface.sequence import Sequence
from predictors.engines.prompt import Prompt

VOCABULARY = 50


def sequence(sampling: Sampling, prompt: list[int], *, apart: bool = False) -> Sequence:
    model: Any = SimpleNamespace(encoder_decoder=apart, end_tokens=frozenset())
    return Sequence(Query("", sampling), Prompt(prompt, 1_000_000), model)


def drawn(scores: torch.Tensor, sampling: Sampling, times: int) -> torch.Tensor:
    """How often each token is drawn, of [vocabulary] scores."""
    rows = [sequence(replace(sampling, seed=seed), [0]) for seed in range(times)]
    return torch.bincount(draw(scores.expand(times, -1), rows), minlength=len(scores)) / times


def by_the_book(scores: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """[vocabulary] probabilities after temperature and top_p."""
    probabilities = (scores / sampling.temperature).softmax(-1)
    ordered, order = probabilities.sort(descending=True)
    kept = ordered.cumsum(-1) - ordered < sampling.top_p
    nucleus = torch.zeros_like(probabilities)
    nucleus[order[kept]] = ordered[kept]
    return nucleus / nucleus.sum()


@pytest.mark.parametrize("vocabulary", [VOCABULARY, 300, 6000])
@pytest.mark.parametrize("spread", [0.1, 2.0, 6.0])
@pytest.mark.parametrize("top_p", [0.3, 0.9, 1.0])
def test_tokens_are_drawn_with_their_probabilities(
    vocabulary: int, spread: float, top_p: float
) -> None:
    """Within five standard deviations, also where the likeliest tokens alone don't hold top_p."""
    generator = torch.Generator().manual_seed(vocabulary)
    scores = torch.randn(vocabulary, generator=generator) * spread
    sampling = Sampling(temperature=0.7, top_p=top_p)
    times = 4_000
    expected = by_the_book(scores, sampling)
    got = drawn(scores, sampling, times)
    allowed = 5 * (expected * (1 - expected) / times).sqrt() + 1.5 / times
    assert ((got - expected).abs() <= allowed).all()
    assert not got[expected == 0].any()


def test_few_candidates_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = torch.randn(64, 5000, generator=torch.Generator().manual_seed(1)) * 3
    rows = [sequence(Sampling(seed=seed, top_p=0.9), [0]) for seed in range(64)]
    few = draw(scores, rows)
    monkeypatch.setattr(drawing, "CANDIDATES", ())
    assert draw(scores, rows).tolist() == few.tolist()


def test_a_seed_draws_the_same_whatever_else_is_in_the_batch() -> None:
    scores = torch.randn(VOCABULARY, generator=torch.Generator().manual_seed(2))
    seeded = sequence(Sampling(seed=7, temperature=2.0, top_p=1.0), [0])
    others: list[Sequence | None] = [
        None,
        sequence(Sampling(temperature=0.0), [0]),
        sequence(Sampling(), [0]),
        sequence(Sampling(top_p=1.0), [0]),
    ]
    answer = []
    for _ in range(20):
        (alone,) = draw(scores[None], [seeded]).tolist()
        random.shuffle(others)
        row = draw(scores.expand(5, -1), [*others[:2], seeded, *others[2:]])
        assert row[2] == alone
        seeded.add(alone, -1.0, 0.5)
        answer.append(alone)
    assert len(set(answer)) > 5, "each position draws anew"


def penalised(scores: torch.Tensor, row: Sequence) -> torch.Tensor:
    scores, sampling = scores.clone(), row.sampling
    for token in {*row.continued, *row.tokens}:
        count = row.tokens.count(token)
        factor = sampling.repetition_penalty
        scores[token] = scores[token] * factor if scores[token] < 0 else scores[token] / factor
        scores[token] -= sampling.frequency_penalty * count
        scores[token] -= sampling.presence_penalty * (count > 0)
    return scores


def some(chance: random.Random) -> Sequence:
    sampling = Sampling(
        repetition_penalty=chance.choice([1.0, 1.05, 3.0]),
        presence_penalty=chance.choice([0.0, 0.0, 1.5, -1.0]),
        frequency_penalty=chance.choice([0.0, 0.0, 0.7, -0.2]),
    )
    length = chance.randrange(1, 90)
    prompt = [chance.randrange(VOCABULARY) for _ in range(length)]
    return sequence(sampling, prompt, apart=chance.random() < 0.3)


@pytest.mark.parametrize("seed", range(8))
def test_penalties_are_those_of_each_row_whoever_comes_leaves_or_pauses(seed: int) -> None:
    chance = random.Random(seed)
    present, paused = [some(chance) for _ in range(3)], list[Sequence]()
    penalties = Penalties()
    for step in range(150):
        if chance.random() < 0.3:
            present.insert(chance.randrange(len(present) + 1), some(chance))
        if len(present) > 1 and chance.random() < 0.3:
            paused.append(present.pop(chance.randrange(len(present))))
        if paused and chance.random() < 0.3:
            present.append(paused.pop())
        rows: list[Sequence | None] = [r if chance.random() < 0.95 else None for r in present]
        scores = torch.randn(
            len(rows), VOCABULARY, generator=torch.Generator().manual_seed(1000 * seed + step)
        )
        before = scores.clone()
        got = penalties.applied(scores, rows)
        for place, row in enumerate(rows):
            expected = before[place] if row is None else penalised(before[place], row)
            torch.testing.assert_close(got[place], expected)
        tokens = torch.tensor([chance.randrange(VOCABULARY) for _ in rows])
        penalties.chosen(tokens)
        for row, token in zip(rows, tokens.tolist(), strict=True):
            if row is not None:
                row.add(token, -1.0, 0.5)


def test_nothing_has_changed_where_a_row_spoils_all() -> None:
    rows = [sequence(Sampling(seed=1), [1, 2]), sequence(Sampling(seed=2), [3])]
    scores = torch.randn(2, VOCABULARY, generator=torch.Generator().manual_seed(3))
    sampler = Sampler()
    sampler.choose(scores.clone(), rows, spreads=True)
    with pytest.raises(FloatingPointError):
        sampler.choose(torch.full((2, VOCABULARY), torch.nan), rows, spreads=True)
    assert [len(row.tokens) for row in rows] == [1, 1]
    tokens = sampler.choose(scores.clone(), rows, spreads=True).tolist()
    again = [draw(penalised(s, r)[None], [r]) for s, r in zip(scores, _before(rows), strict=True)]
    assert tokens == [token.item() for token in again]


def _before(rows: list[Sequence]) -> list[Sequence]:
    """As they were before their last token."""
    for row in rows:
        row.tokens.pop()
    return rows
