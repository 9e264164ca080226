"""The walk: whom it asks for, when it ends, and what it says."""

from dataclasses import replace

import numpy as np
import pytest

from inferencegraph.evaluate.estimating.aim import Aim
from inferencegraph.evaluate.estimating.walk import BATCH, LossWalk, ShareWalk, Walk, make_walk
from predictors.errors import ConfigurationError
from tests.inferencegraph.evaluate.estimating.records import Floats

LOSS = Aim.of(0.05, None, None, None)
RATIO = Aim.of(None, 0.5, None, None)


def answered(rows: int, worst: float = 0.5) -> tuple[Floats, Floats]:
    """Scores, and losses that are the more likely the higher those are."""
    rng = np.random.default_rng(0)
    scores = rng.random(rows)
    return scores, (rng.random(rows) < worst * scores).astype(float)


def to_its_end(walk: Walk, losses: Floats) -> list[int]:
    asked: list[int] = []
    while not walk.finished:
        batch = walk.next_batch()
        asked += batch.tolist()
        walk.take(losses[batch])
    return asked


def test_nothing_is_asked_twice_or_out_of_order_and_nothing_that_is_too_hard() -> None:
    scores, losses = answered(4000)
    walk = make_walk(scores, LOSS, 0)
    asked = to_its_end(walk, losses)
    assert asked == sorted(set(asked)) and len(asked) == walk.labels
    assert walk.precise and walk.position < 4000
    assert len(asked) < walk.position  # some were passed for nothing
    assert scores[asked[-BATCH:]].max() <= 0.99


def test_what_is_promised_is_below_what_is_possible() -> None:
    scores, losses = answered(4000)
    walk = LossWalk(scores, LOSS)
    to_its_end(walk, losses)
    assert walk.threshold is not None
    share = walk.share(walk.threshold)
    assert share <= walk.best_share <= walk.possible_share
    assert walk.best_share - share <= LOSS.precision
    assert (losses * (scores <= walk.threshold)).mean() <= 0.05
    at = walk.loss_at(walk.threshold, LOSS)
    assert at.interval.low <= at.mean <= at.interval.high


@pytest.mark.parametrize("aim", [LOSS, RATIO])
def test_a_walk_ends_with_its_labels_and_with_the_log(aim: Aim) -> None:
    scores, losses = answered(300)
    few = make_walk(scores, replace(aim, max_labels=150), 50)
    assert len(to_its_end(few, losses)) == 100
    never = Aim.of(aim.max_quality_loss, aim.edge_ratio, 0.0, None)
    all_of_them = make_walk(scores, never, 0)
    to_its_end(all_of_them, losses)
    assert all_of_them.position == 300


def test_half_of_the_log_is_enough_for_a_promise_unless_a_precision_is_asked_for() -> None:
    scores, losses = answered(700)  # the edge loses little, and the share is hardly determined
    losses[::2] -= 0.2
    enough = make_walk(scores, LOSS, 100)
    to_its_end(enough, losses)
    assert enough.has_enough and not enough.precise
    assert enough.labels == (100 + 700) / 2 - 100 and enough.threshold is not None
    exact = make_walk(scores, Aim.of(0.05, None, LOSS.precision, None), 100)
    to_its_end(exact, losses)
    assert exact.labels > enough.labels and exact.threshold is not None
    assert exact.share(exact.threshold) >= enough.share(enough.threshold)


def test_without_a_promise_half_of_the_log_is_not_enough() -> None:
    scores, losses = answered(100)
    walk = make_walk(scores, Aim.of(0.005, None, None, None), 20)
    to_its_end(walk, losses)
    assert walk.threshold is None and walk.position == 100


def test_an_edge_ratio_is_bounded_by_the_rows_that_would_stay() -> None:
    scores, losses = answered(3000)
    walk = ShareWalk(scores, RATIO)
    to_its_end(walk, losses)
    assert walk.threshold == pytest.approx(0.5, abs=0.03)
    assert walk.loss.high - walk.loss.low <= 2 * RATIO.precision
    assert walk.loss.low <= (losses * (scores <= walk.threshold)).mean() <= walk.loss.high
    assert walk.labels < 1000


def test_too_few_rows_promise_nothing_and_say_how_many_more_would() -> None:
    scores, losses = answered(60, worst=0.2)
    walk = LossWalk(scores, Aim.of(0.005, None, None, None))
    to_its_end(walk, losses)
    assert walk.threshold is None
    missing = walk.rows_missing()
    assert missing is not None and 100 < missing < 5000


def test_where_all_that_is_easy_is_lost_no_more_rows_would_help() -> None:
    scores = np.random.default_rng(0).random(500)
    walk = LossWalk(scores, Aim.of(0.01, None, None, None))
    to_its_end(walk, np.ones(500))
    assert walk.threshold is None and walk.rows_missing() is None


def test_rows_without_a_score_go_to_the_cloud() -> None:
    scores, losses = answered(1000)
    scores[::2] = np.inf
    walk = make_walk(scores, LOSS, 0)
    assert not set(to_its_end(walk, losses)) & set(range(0, 1000, 2))
    assert walk.threshold is not None and walk.share(walk.threshold) <= 0.5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((None, None, None, None), "give one of --max-quality-loss and --edge-ratio"),
        ((0.1, 0.5, None, None), "give one of"),
        ((0.0, None, None, None), "must be above 0 and below 1"),
        ((None, 1.5, None, None), "an edge ratio must be above 0"),
        ((None, 0.5, None, "traffic"), "leave --about out"),
    ],
)
def test_what_cannot_be_aimed_at_is_refused(arguments: tuple[float, ...], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        Aim.of(*arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("aim", "logged", "said"),
    [
        (LOSS, 39, "39 usable rows are not enough data: 1 more"),
        (Aim.of(0.1, None, None, None, training_rows=50), 50, "50 training rows of 50"),
        (Aim.of(0.1, None, None, None, max_labels=20), 80, "--max-labels 20 leaves none"),
    ],
)
def test_too_small_a_log_is_refused(aim: Aim, logged: int, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        aim.rows_to_train(logged)
    assert LOSS.rows_to_train(100) == 25 and LOSS.rows_to_train(100_000) == 400
