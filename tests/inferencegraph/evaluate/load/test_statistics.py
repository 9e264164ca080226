"""Percentiles and intervals, beside numpy's and beside what is known to be true."""

from functools import partial

import numpy as np
import pytest

from inferencegraph.evaluate.load.statistics import (
    Blocks,
    difference_interval,
    percentile,
    ratio_interval,
)


def test_a_percentile_is_linear_between_neighbours() -> None:
    assert percentile(np.array([1.0, 2.0, 4.0]), 75) == 3.0
    assert percentile(np.empty(0), 50) is None


@pytest.mark.parametrize("rank", [1, 50, 95, 99, 100])
def test_a_percentile_of_copies_of_blocks_is_that_of_the_copied_values(rank: float) -> None:
    random = np.random.default_rng(0)
    blocks = [random.exponential(size=size) for size in (40, 7, 101)]
    copies = np.array([2, 0, 3])
    written_out = np.concatenate([np.tile(b, n) for b, n in zip(blocks, copies, strict=True)])
    expected = np.percentile(written_out, rank, method="inverted_cdf")
    assert Blocks(blocks).percentile(rank, copies) == pytest.approx(expected)
    assert Blocks(blocks).mean(copies) == pytest.approx(written_out.mean())


def median(blocks: Blocks, copies: np.ndarray) -> float:
    return blocks.percentile(50, copies)


def test_intervals_of_a_ratio_hold_the_truth() -> None:
    """B is half as slow again, in blocks whose machine is now fast, now slow. Of ten blocks a
    bootstrap's intervals are a little narrow: in 80% of draws at least, where 95% are aimed at."""
    random = np.random.default_rng(1)
    held = 0
    for draw in range(25):
        weather = random.uniform(0.5, 2, size=10)
        pairs = [(random.exponential(w, 200), random.exponential(1.5 * w, 200)) for w in weather]
        found = ratio_interval(pairs, median, draw)
        assert found is not None
        assert found.low <= found.value <= found.high
        held += found.low <= 1.5 <= found.high
    assert held >= 0.8 * 25


def test_what_both_blocks_of_a_pair_share_does_not_widen_an_interval() -> None:
    weather = np.linspace(1, 10, 10)
    pairs = [(np.full(5, w), np.full(5, 2 * w)) for w in weather]
    found = ratio_interval(pairs, Blocks.mean, 0)
    assert found is not None
    assert (found.low, found.value, found.high) == pytest.approx((2, 2, 2))


@pytest.mark.parametrize(
    "pairs",
    [
        [],
        [(np.ones(3), np.ones(3))],
        [(np.ones(3), np.ones(3)), (np.empty(0), np.ones(3))],
        [(np.zeros(3), np.ones(3))] * 2,
    ],
)
def test_a_ratio_without_two_pairs_or_over_nothing_is_unknown(
    pairs: list[tuple[np.ndarray, np.ndarray]],
) -> None:
    assert ratio_interval(pairs, partial(median), 0) is None


def test_a_difference_is_between_the_same_questions() -> None:
    """Questions differ by seconds, the hops by 5 ms: only pairs tell them apart."""
    random = np.random.default_rng(2)
    first = random.uniform(0, 2, 100)
    found = difference_interval(first, first + random.normal(0.005, 0.001, 100), 0)
    assert found is not None
    assert found.value == pytest.approx(0.005, abs=0.0005)
    assert found.high - found.low < 0.001
    assert difference_interval(np.ones(1), np.ones(1), 0) is None
