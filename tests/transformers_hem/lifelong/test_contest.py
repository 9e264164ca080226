"""Who is promoted, of routers whose worth is known."""

from dataclasses import replace

import numpy as np
import pytest

from transformers_hem.evaluation.quality import gap_recovered
from transformers_hem.lifelong.contest import LEAST_PAIRS, LEAST_ROWS, Judged, contest
from transformers_hem.lifelong.observations import Observation, Observations, Propensity
from transformers_hem.lifelong.outcomes import doubly_robust, told_by_the_other

Floats = np.ndarray


def sides(rows: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """How hard each query is, and outcomes [N, 2]: the edge fails at the hard ones."""
    hardness = rng.random(rows)
    edge = rng.random(rows) > 0.8 * hardness
    cloud = rng.random(rows) < 0.9
    return hardness, np.stack([edge, cloud], axis=1).astype(float)


def judged(champion: Floats, challenger: Floats, outcomes: Floats) -> Judged:
    return Judged(champion, challenger, 0.5, outcomes, len(champion))


def test_a_better_challenger_is_promoted_and_a_worse_one_is_not() -> None:
    rng = np.random.default_rng(0)
    hardness, outcomes = sides(600, rng)
    noise = rng.random(600)
    better = contest(judged(noise, hardness, outcomes))
    assert better.promote and better.apgr is not None and better.apgr.low > 0
    worse = contest(judged(hardness, noise, outcomes))
    assert not worse.promote and "worse" in worse.reason


def test_a_tie_promotes_nobody() -> None:
    rng = np.random.default_rng(1)
    hardness, outcomes = sides(600, rng)
    same = contest(judged(hardness, hardness / 2, outcomes))
    assert not same.promote and "tie" in same.reason
    assert same.apgr == (0, 0, 0) and same.cost == (0, 0, 0)


def test_equally_good_challengers_are_seldom_promoted() -> None:
    """By chance alone one in ten would be."""
    promoted = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        hardness, outcomes = sides(150, rng)
        scores = [hardness + rng.normal(0, 0.5, 150) for _ in range(2)]
        promoted += contest(judged(*scores, outcomes), resamples=200).promote
    assert promoted <= 30  # 20 are expected; 31 or more have a chance of 1%


def test_less_proof_promotes_sooner_and_errs_as_often_as_it_says() -> None:
    """Of equally good challengers three in ten, and more of those that are somewhat better."""
    equal, better, better_by_default = 0, 0, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        hardness, outcomes = sides(150, rng)
        champion, same, good = (hardness + rng.normal(0, s, 150) for s in (0.5, 0.5, 0.3))
        equal += contest(judged(champion, same, outcomes), 0, 200, significance=0.3).promote
        against = judged(champion, good, outcomes)
        better += contest(against, 0, 200, significance=0.3).promote
        better_by_default += contest(against, 0, 200).promote
    assert equal <= 75  # 60 are expected; 76 or more have a chance of 1%
    assert better >= better_by_default + 20


def test_equally_good_challengers_are_seldom_promoted_on_one_side_of_most_rows_either() -> None:
    """One row in four is a pair, of the others only the edge was seen."""
    promoted = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        hardness, outcomes = sides(300, rng)
        pair = rng.random(300) < 0.25
        served = Propensity.of_served("edge", 1.0, 0.25)
        seen = Observations.of(
            [
                Observation(f"{i}", edge, cloud if both else None, "explicit", served)
                for i, ((edge, cloud), both) in enumerate(zip(outcomes.tolist(), pair, strict=True))
            ]
        )
        guess = np.broadcast_to([0.6, 0.9], outcomes.shape)
        known = doubly_robust(seen, told_by_the_other(seen, guess))
        scores = [hardness + rng.normal(0, 0.5, 300) for _ in range(2)]
        judging = Judged(*scores, 0.5, known, int(pair.sum()))
        promoted += contest(judging, resamples=200).promote
    assert promoted <= 30  # as above


def test_the_difference_is_that_of_the_average_gap_recovered() -> None:
    rng = np.random.default_rng(2)
    hardness, outcomes = sides(400, rng)
    scores = [hardness + rng.normal(0, spread, 400) for spread in (1.0, 0.2)]
    verdict = contest(judged(*scores, outcomes))
    expected = [gap_recovered(each, *outcomes.T) for each in scores]
    assert verdict.apgr is not None
    assert verdict.apgr.mean == pytest.approx(expected[1] - expected[0], abs=0.005)
    assert verdict.apgr.low < verdict.apgr.mean < verdict.apgr.high


def test_the_cost_is_what_the_champions_quality_takes() -> None:
    """The champion leaves hard queries at the edge first, the challenger easy ones."""
    rows = 200
    outcomes = np.ones((rows, 2))
    outcomes[:50, 0] = 0  # the edge fails at the first 50
    champion = np.linspace(0, 1, rows)
    challenger = 1 - champion
    judging = Judged(champion, challenger, 0.25, outcomes, rows)
    verdict = contest(judging)
    # At its threshold the champion keeps the 50 hard ones at the edge, and has a quality of 0.75:
    # so has the edge alone, which costs nothing.
    assert verdict.cost is not None and verdict.cost.mean == pytest.approx(0)
    stricter = contest(Judged(champion, challenger, 0.0, outcomes, rows))
    # With one of them there, 0.995: the challenger needs 49 of 200 calls, the champion 199.
    assert stricter.cost is not None
    assert stricter.cost.mean == pytest.approx(49 / 200 - 199 / 200)
    assert stricter.promote


@pytest.mark.parametrize(
    ("rows", "pairs"), [(LEAST_ROWS - 1, LEAST_PAIRS), (LEAST_ROWS, LEAST_PAIRS - 1)]
)
def test_too_few_rows_decide_nothing(rows: int, pairs: int) -> None:
    hardness, outcomes = sides(rows, np.random.default_rng(3))
    verdict = contest(Judged(1 - hardness, hardness, 0.5, outcomes, pairs))
    assert not verdict.promote and f"{rows} held-out rows, {pairs} of them" in verdict.reason


def test_rows_that_all_count_half_decide_what_whole_ones_do() -> None:
    hardness, outcomes = sides(300, np.random.default_rng(5))
    whole = judged(1 - hardness, hardness, outcomes)
    half, alike = contest(replace(whole, weights=np.full(300, 0.5))), contest(whole)
    assert half.apgr == pytest.approx(alike.apgr) and half.cost == pytest.approx(alike.cost)
    assert (half.promote, half.rows) == (alike.promote, alike.rows)


def test_a_row_that_counts_twice_is_two_rows() -> None:
    hardness, outcomes = sides(400, np.random.default_rng(6))
    rng = np.random.default_rng(7)
    scores = [hardness + rng.normal(0, spread, 400) for spread in (1.0, 0.2)]
    twice = np.arange(400) < 100
    weighted = contest(replace(judged(*scores, outcomes), weights=1.0 + twice))
    rows = np.concatenate([np.arange(400), np.flatnonzero(twice)])
    repeated = contest(judged(*(each[rows] for each in scores), outcomes[rows]))
    assert weighted.apgr is not None and repeated.apgr is not None
    assert weighted.apgr.mean == pytest.approx(repeated.apgr.mean)
    assert weighted.cost is not None and repeated.cost is not None
    assert weighted.cost.mean == pytest.approx(repeated.cost.mean)


def test_rows_of_hardly_believed_clients_do_not_turn_a_contest() -> None:
    """They say that the edge is good at what is hard, and bad at the rest."""
    rng = np.random.default_rng(8)
    hardness, outcomes = sides(600, rng)
    lies = np.stack([hardness > 0.5, np.ones(600)], axis=1).astype(float)
    both = np.concatenate([outcomes, lies])
    champion, challenger = rng.random(1200), np.tile(hardness, 2)
    weights = np.repeat([1.0, 0.02], 600)
    believed = contest(judged(champion, challenger, both))
    doubted = contest(replace(judged(champion, challenger, both), weights=weights))
    assert not believed.promote
    assert doubted.promote


def test_few_rows_with_nearly_all_the_weight_are_few() -> None:
    hardness, outcomes = sides(300, np.random.default_rng(9))
    weights = np.where(np.arange(300) < 60, 1.0, 0.001)
    verdict = contest(replace(judged(1 - hardness, hardness, outcomes), weights=weights))
    assert not verdict.promote and "300 held-out rows that count as 60" in verdict.reason


def test_a_fold_whose_scores_lie_elsewhere_orders_queries_as_well() -> None:
    rng = np.random.default_rng(10)
    hardness, outcomes = sides(500, rng)
    scores = [hardness + rng.normal(0, spread, 500) for spread in (1.0, 0.3)]
    folds = rng.integers(5, size=500)
    whole = contest(replace(judged(*scores, outcomes), models=folds))
    moved = judged(scores[0], scores[1] / (1 + folds) + folds, outcomes)
    assert contest(replace(moved, models=folds)) == whole
    alone, apart = contest(judged(*scores, outcomes)), contest(moved)
    assert whole.apgr is not None and alone.apgr is not None and apart.apgr is not None
    assert whole.apgr.mean == pytest.approx(alone.apgr.mean, abs=0.02)
    assert apart.apgr.mean < alone.apgr.mean - 0.1


def test_a_challenger_that_learns_nothing_is_no_worse_than_a_coin() -> None:
    """It says of each row what the other folds show on average, which is less where its own fold
    shows more."""
    found = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        _, outcomes = sides(200, rng)
        gain, folds = outcomes[:, 1] - outcomes[:, 0], np.arange(200) % 5
        learned = np.array([gain[folds != fold].mean() for fold in range(5)])[folds]
        judging = judged(rng.random(200), 0.5 + learned / 2, outcomes)
        both = judging, replace(judging, models=folds)
        found.append([v.apgr.mean for j in both if (v := contest(j, resamples=10)).apgr])
    pooled, apart = np.mean(found, axis=0)
    assert pooled < -0.05
    assert apart == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("weighted", [False, True])
def test_equally_good_challengers_of_folds_are_seldom_promoted(weighted: bool) -> None:
    promoted = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        hardness, outcomes = sides(200, rng)
        folds = rng.integers(-1, 5, size=200)  # the challenger itself scored one in six
        scores = [hardness + rng.normal(0, 0.5, 200) for _ in range(2)]
        judging = replace(judged(scores[0], scores[1] + folds, outcomes), models=folds)
        if weighted:
            judging = replace(judging, weights=rng.choice([0.5, 1.0], 200))
        promoted += contest(judging, resamples=200).promote
    assert promoted <= 30  # 20 are expected; 31 or more have a chance of 1%


def test_where_the_cloud_is_no_better_there_is_nothing_to_win() -> None:
    hardness, outcomes = sides(300, np.random.default_rng(4))
    verdict = contest(judged(1 - hardness, hardness, outcomes[:, ::-1]))
    assert not verdict.promote and "no better than the edge" in verdict.reason
