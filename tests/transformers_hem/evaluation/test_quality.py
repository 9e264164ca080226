"""What an order of queries is worth, on tables small enough to count by hand."""

import numpy as np
import pytest

from transformers_hem.evaluation.quality import (
    cheapest_cut,
    curve,
    cut_at,
    gap_recovered,
)

SCORES = np.array([0.1, 0.2, 0.3, 0.4])
EDGE = np.array([1.0, 1.0, 0.0, 0.0])
CLOUD = np.array([1.0, 1.0, 1.0, 1.0])


def test_the_curve_goes_from_cloud_only_to_edge_only() -> None:
    assert curve(SCORES, EDGE, CLOUD).tolist() == [1, 1, 1, 0.75, 0.5]


def test_the_gap_recovered_orders_oracle_coin_and_fool() -> None:
    assert gap_recovered(SCORES, EDGE, CLOUD) == pytest.approx(0.7)
    assert gap_recovered(1 - SCORES, EDGE, CLOUD) == pytest.approx(0.3)
    assert np.isnan(gap_recovered(SCORES, CLOUD, EDGE))


def test_the_cheapest_cut_keeps_what_it_was_told_to() -> None:
    cut = cheapest_cut(SCORES, EDGE, CLOUD, keep=0.97)
    assert (cut.threshold, cut.edge_share, cut.quality) == (0.25, 0.5, 1.0)
    assert cheapest_cut(SCORES, EDGE, CLOUD, keep=0.75).edge_share == 0.75
    assert cheapest_cut(SCORES, EDGE, CLOUD, keep=0.1).threshold == 1.0
    assert cheapest_cut(SCORES, 0 * EDGE, CLOUD, keep=0.97).threshold == 0.0


def test_what_is_kept_is_counted_from_the_worst_answer() -> None:
    """Scores may lie anywhere: BARTScore's are all below 0."""
    for low, width in ((0.0, 1.0), (-5.0, 1.0), (-5.0, 0.01), (40.0, 3.0)):
        edge, cloud = low + width * EDGE, low + width * CLOUD
        for keep, expected in ((0.97, 0.25), (0.75, 0.35)):
            assert cheapest_cut(SCORES, edge, cloud, keep, low).threshold == expected


def test_equal_scores_are_never_cut_apart() -> None:
    cut = cheapest_cut(np.array([0.1, 0.3, 0.3, 0.3]), EDGE, CLOUD, keep=0.97)
    assert cut == cut_at(0.2, np.array([0.1, 0.3, 0.3, 0.3]), EDGE, CLOUD)
