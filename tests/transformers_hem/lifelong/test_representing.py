"""Rows of which more came back of one side: they stand for fewer queries each."""

from dataclasses import replace

import numpy as np
import pytest

from transformers_hem.lifelong.challenge import judge
from transformers_hem.lifelong.contest import Verdict
from transformers_hem.lifelong.observations import Observation, Observations, Propensity
from transformers_hem.lifelong.representing import represented
from transformers_hem.lifelong.windows import Windows

SHARES = 0.02, 0.3
ROUNDS = 20


def of_side(side: str, pairs: int, said: int) -> list[Observation]:
    chance = Propensity(float(side == "edge"), *SHARES)
    users = [(1.0, None) if side == "edge" else (None, 1.0)] * said
    return [Observation(f"{side} p{i}", 1.0, 1.0, "shadow", chance) for i in range(pairs)] + [
        Observation(f"{side} s{i}", *each, "explicit", chance, client="ada")
        for i, each in enumerate(users)
    ]


def test_each_side_counts_as_often_as_it_served() -> None:
    """1,000 queries of each, of which 20 and 300 are pairs; users speak of the edge alone."""
    seen = Observations.of([*of_side("edge", 20, 180), *of_side("cloud", 300, 0)])
    weights = represented(seen, np.arange(len(seen)))
    edge, cloud = (weights[seen.sides == side].sum() for side in range(2))
    assert edge == pytest.approx(cloud)
    assert edge + cloud == pytest.approx(len(seen))
    assert len(np.unique(weights[:200])) == 1  # whoever says it


def test_base_rows_and_what_nobody_knows_count_as_before() -> None:
    base = [Observation(f"b{i}", 1.0, 1.0, "base") for i in range(40)]
    seen = Observations.of([*of_side("edge", 20, 0), *of_side("cloud", 300, 0), *base])
    weights = represented(seen, np.arange(len(seen)))
    assert (weights[:20] > 5).all() and (weights[-40:] == 1).all()
    unknown = Observations.of([*of_side("edge", 20, 0), *of_side("cloud", 0, 100)])
    assert (represented(unknown, np.arange(120)) == 1).all()
    assert len(represented(unknown, np.arange(0))) == 0


def test_pairs_that_do_not_judge_tell_how_often_a_side_served() -> None:
    """Of what came before a promotion the pairs judge that were reserved, a plain sample."""
    before = Observations.of([*of_side("edge", 20, 0), *of_side("cloud", 300, 0)])
    reserved = np.concatenate([np.arange(20), 20 + np.arange(20)])
    assert represented(before, reserved) == pytest.approx(np.ones(40))


def test_what_came_before_all_that_judges_tells_nothing() -> None:
    pairs = [*of_side("edge", 20, 0), *of_side("cloud", 300, 0)]
    older = [replace(row, at=-1.0) for row in of_side("edge", 500, 0)]
    seen, rows = Observations.of([*pairs, *older]), np.arange(320)
    assert (represented(seen, rows) == represented(Observations.of(pairs), rows)).all()


def contested(seed: int, shares: tuple[float, float], pairs: int = 600) -> Verdict:
    """Two routers that are equally good, judged by about so many pairs of what one served."""
    rng = np.random.default_rng(seed)
    count = int(2 * pairs / sum(shares))
    hardness = rng.random(count)
    edge, cloud = rng.random((2, count)) < [np.where(hardness > 0.5, 0.1, 0.9), [0.95] * count]
    champion, challenger = (hardness + rng.normal(0, 0.5, count) for _ in range(2))
    threshold = float(np.median(champion))
    asked = champion > threshold
    drawn = np.flatnonzero(rng.random(count) < np.where(asked, shares[1], shares[0]))
    seen = Observations.of(
        Observation(
            f"{i}", float(edge[i]), float(cloud[i]), "shadow", Propensity(float(~asked[i]), *shares)
        )
        for i in drawn
    )
    rows = np.arange(len(seen))
    parts = Windows(rows[:0], rows[:0], rows, rows)
    return judge(seen, parts, champion[drawn], challenger[drawn], threshold)


@pytest.mark.parametrize("shares", [SHARES, (0.1, 0.1)])
def test_a_challenger_that_is_no_better_gains_nothing_by_the_sides_shares(
    shares: tuple[float, float],
) -> None:
    verdicts = [contested(seed, shares) for seed in range(ROUNDS)]
    assert all(each.enough for each in verdicts)
    assert sum(each.promote for each in verdicts) <= 6  # 2 are expected; 7 have a chance of 0.2%
