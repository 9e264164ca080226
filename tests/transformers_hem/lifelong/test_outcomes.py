"""Estimates with known answers."""

from dataclasses import replace

import numpy as np
import pytest

from transformers_hem.lifelong.observations import Observation, Observations, Propensity
from transformers_hem.lifelong.outcomes import (
    among_returned,
    cross_fitted,
    doubly_robust,
    expected,
    inverse_propensities,
    told_by_the_other,
)


def test_inverse_propensities_are_clipped_and_their_mean_is_one() -> None:
    propensities = np.array([[1.0, 0.5], [0.5, 0.01], [0.25, 1.0]])
    seen = np.array([[True, True], [True, True], [False, True]])
    found = inverse_propensities(propensities, seen, most=10)
    assert found[:, 0].tolist() == pytest.approx([1 / 1.5, 2 / 1.5, 0])
    assert found[:, 1].tolist() == pytest.approx([2 / (13 / 3), 10 / (13 / 3), 1 / (13 / 3)])
    unweighted = inverse_propensities(propensities, seen, most=1)
    assert unweighted.tolist() == seen.astype(float).tolist()


def test_a_side_that_nobody_saw_weighs_nothing() -> None:
    found = inverse_propensities(np.array([[1.0, 0.0]]), np.array([[True, False]]))
    assert found.tolist() == [[1.0, 0.0]]


def logged(count: int, seed: int) -> tuple[Observations, np.ndarray]:
    """Hard queries mostly go to the cloud, easy ones to the edge, with a coin of known weight."""
    rng = np.random.default_rng(seed)
    hard = rng.random(count) < 0.5
    edge_right = rng.random(count) < np.where(hard, 0.2, 0.9)
    truth = np.stack([edge_right, rng.random(count) < 0.8], axis=1)
    at_edge = np.where(hard, 0.2, 0.8)
    edge = rng.random(count) < at_edge
    rows = [
        Observation(
            "hard" if hard[i] else "easy",
            float(truth[i, 0]) if edge[i] else None,
            None if edge[i] else float(truth[i, 1]),
            "explicit",
            Propensity(at_edge[i]),
        )
        for i in range(count)
    ]
    return Observations.of(rows), truth.astype(float)


def test_doubly_robust_is_right_where_the_guess_is_wrong() -> None:
    """The plain mean of the edge's outcomes is of easy queries mostly."""
    seen, truth = logged(20_000, 0)
    wrong = np.full((len(seen), 2), 0.5)
    found = doubly_robust(seen, wrong).mean(axis=0)
    assert found == pytest.approx(truth.mean(axis=0), abs=0.02)
    assert np.nanmean(seen.outcomes[:, 0]) > truth[:, 0].mean() + 0.1


def test_doubly_robust_is_right_where_the_propensities_are_wrong() -> None:
    seen, truth = logged(20_000, 1)
    unknown = replace(seen, propensities=np.full((len(seen), 3), 0.7))
    hard = np.array([query == "hard" for query in seen.queries])
    right = np.stack([np.where(hard, 0.2, 0.9), np.full(len(seen), 0.8)], axis=1)
    assert doubly_robust(unknown, right).mean(axis=0) == pytest.approx(truth.mean(axis=0), abs=0.02)


def test_doubly_robust_changes_nothing_where_both_sides_are_certain() -> None:
    rows = [Observation("a", 1.0, 0.0, "base"), Observation("b", 0.0, 1.0, "base")]
    pairs = Observations.of(rows)
    assert doubly_robust(pairs, np.full((2, 2), 0.3)).tolist() == [[1, 0], [0, 1]]


def served_by_the_edge(count: int, seed: int) -> tuple[Observations, np.ndarray]:
    """One row in four is a pair; where the edge errs, the cloud mostly does."""
    rng = np.random.default_rng(seed)
    edge = rng.random(count) < 0.6
    truth = np.stack([edge, rng.random(count) < np.where(edge, 0.95, 0.3)], axis=1).astype(float)
    pair = rng.random(count) < 0.25
    served = Propensity.of_served("edge", 1.0, 0.25)
    rows = [
        Observation(f"{i}", edge_, cloud if both else None, "explicit", served)
        for i, ((edge_, cloud), both) in enumerate(zip(truth.tolist(), pair, strict=True))
    ]
    return Observations.of(rows), truth


def test_the_side_that_was_seen_tells_of_the_other() -> None:
    """The mean stays right, with less left to chance; what was surely seen is as it was."""
    seen, truth = served_by_the_edge(20_000, 0)
    guess = np.broadcast_to(truth.mean(axis=0), truth.shape)
    told = told_by_the_other(seen, guess)
    before, after = doubly_robust(seen, guess), doubly_robust(seen, told)
    assert after[:, 1].mean() == pytest.approx(truth[:, 1].mean(), abs=0.02)
    assert after[:, 1].std() < 0.85 * before[:, 1].std()
    assert (told[:, 0] == guess[:, 0]).all() and (after[:, 0] == truth[:, 0]).all()


def test_a_wrong_guess_is_put_right_all_the_same() -> None:
    seen, truth = served_by_the_edge(20_000, 1)
    told = told_by_the_other(seen, np.full(truth.shape, 0.2))
    assert doubly_robust(seen, told)[:, 1].mean() == pytest.approx(truth[:, 1].mean(), abs=0.02)


def test_a_side_that_hardly_errs_tells_little_of_the_other() -> None:
    """The cloud was right in all pairs, by guesses that are a little too low: a slope of so small
    errors would multiply the one that a user says of it."""
    served = Propensity.of_served("cloud", 1.0, 0.5)
    pairs = [Observation(f"{i}", float(i % 10 > 0), 1.0, "shadow", served) for i in range(400)]
    wrong = Observation("wrong", None, 0.0, "explicit", served)
    guess = np.tile([0.7, 0.999], (401, 1))
    told = told_by_the_other(Observations.of([*pairs, wrong]), guess)
    assert told[:, 0] == pytest.approx(0.7, abs=0.1)


def test_pairs_alone_have_nothing_to_be_told() -> None:
    rows = [Observation("a", 1.0, 0.0, "base"), Observation("b", 0.0, 1.0, "base")]
    guess = np.full((2, 2), 0.3)
    assert (told_by_the_other(Observations.of(rows), guess) == guess).all()


def test_regressions_of_each_side_learn_from_what_it_showed() -> None:
    seen, _ = logged(2000, 2)
    found = expected(seen, ["hard", "easy"])
    assert found[:, 0] == pytest.approx([0.2, 0.9], abs=0.06)
    assert found[:, 1] == pytest.approx([0.8, 0.8], abs=0.06)


def test_a_cross_fitted_row_knows_nothing_of_its_group() -> None:
    rows = [Observation("alpha beta", 1.0, 1.0, "base") for _ in range(30)]
    rows += [Observation("gamma delta", 0.0, 0.0, "base") for _ in range(30)]
    rows += [Observation("alpha beta", 0.0, 0.0, "explicit", client="liar") for _ in range(30)]
    seen = Observations.of(rows)
    groups = np.array([-1] * 60 + [0] * 30)
    found = cross_fitted(seen, groups)
    assert np.isnan(found[:60]).all()
    assert (found[60:] > 0.8).all()


def test_pairs_are_more_of_what_came_back_than_of_all_queries() -> None:
    """One query in a hundred becomes a pair, and few users say something: of the rows a half."""
    seldom = Propensity.of_served("edge", 1.0, 0.01)
    pairs = [Observation(f"p{i}", 0.0, 1.0, "shadow", seldom) for i in range(50)]
    said = [Observation(f"s{i}", 0.0, None, "explicit", seldom) for i in range(50)]
    seen = Observations.of([*pairs, *said])
    chances = among_returned(seen)
    assert chances.tolist() == [[1.0, 0.5]] * 100
    known = replace(seen, propensities=np.column_stack([chances, seen.propensities[:, 2]]))
    wrong = np.full((100, 2), 0.5)
    assert doubly_robust(known, wrong).mean(axis=0).tolist() == [0.0, 1.0]
    assert doubly_robust(seen, wrong)[:, 1].mean() > 2  # by the share of all queries


def test_of_rows_that_count_half_there_are_half_as_many() -> None:
    """50 pairs that count, and 50 reports of half believed clients: two of three rows are pairs."""
    seldom = Propensity.of_served("edge", 1.0, 0.01)
    pairs = [Observation(f"p{i}", 0.0, 1.0, "shadow", seldom) for i in range(50)]
    said = [Observation(f"s{i}", 0.0, None, "explicit", seldom) for i in range(50)]
    seen = Observations.of([*pairs, *said])
    seen = replace(seen, weights=np.repeat([1.0, 0.5], 50))
    chances = among_returned(seen)
    assert chances == pytest.approx(np.array([[1.0, 2 / 3]] * 100))
    known = replace(seen, propensities=np.column_stack([chances, seen.propensities[:, 2]]))
    found = doubly_robust(known, np.full((100, 2), 0.5))
    assert np.average(found, axis=0, weights=seen.weights) == pytest.approx([0, 1])
