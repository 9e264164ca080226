"""Metrics of routers, on tables counted by hand and beside other people's code."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics

from transformers_hem.evaluation.metrics import (
    METRICS,
    ScoredRows,
    apgr,
    cpt,
    cpt50,
    cpt80,
    expected_calibration_error,
    measure,
    recovered_curve,
)


def scored(scores: object, edge: object, cloud: object, threshold: float = 0.5) -> ScoredRows:
    s, e, c = (np.asarray(values, dtype=float) for values in (scores, edge, cloud))
    return ScoredRows(s, threshold, e, c, c > e)


def by_hand() -> ScoredRows:
    """Called hard: the last three. Hard: the first and the last two. So TP 2, FP 1, FN 1, TN 1."""
    return scored([0.1, 0.2, 0.6, 0.7, 0.9], [0, 1, 1, 0, 0], [1, 1, 1, 1, 1])


def many(rows: int = 5000) -> ScoredRows:
    """A noisy router on a pair where the edge beats the cloud at times."""
    rng = np.random.default_rng(3)
    edge, cloud = rng.random(rows) < 0.68, rng.random(rows) < 0.8
    scores = np.clip(0.5 + 0.1 * (cloud * 1.0 - edge) + rng.normal(0, 0.1, rows), 0, 1)
    return scored(scores, edge, cloud)


def test_hard_is_the_positive_of_accuracy_precision_recall_and_f1() -> None:
    values = measure(by_hand())
    assert values["accuracy"] == 0.6
    assert values["precision"] == values["recall"] == values["f1"] == pytest.approx(2 / 3, abs=1e-4)


def test_the_classifiers_metrics_are_scikit_learns() -> None:
    table = many()
    values, called = measure(table), table.called_hard
    assert values["accuracy"] == round(sklearn_metrics.accuracy_score(table.hard, called), 4)
    assert values["precision"] == round(sklearn_metrics.precision_score(table.hard, called), 4)
    assert values["recall"] == round(sklearn_metrics.recall_score(table.hard, called), 4)
    assert values["f1"] == round(sklearn_metrics.f1_score(table.hard, called), 4)
    assert values["auroc"] == round(sklearn_metrics.roc_auc_score(table.hard, table.scores), 4)


def test_auroc_counts_pairs_in_order() -> None:
    # Of the six pairs of a hard and an easy row, (0.7 | 0.9) are above both easy ones, 0.1 is not.
    assert measure(by_hand())["auroc"] == pytest.approx(4 / 6, abs=1e-4)


def test_expected_calibration_error_is_the_weighted_distance_to_the_share_of_hard() -> None:
    # Four rows that score 0.5, of which one is hard: |0.5 - 0.25|. In another bin 0.9, hard.
    scores = np.array([0.5, 0.5, 0.5, 0.5, 0.9])
    hard = np.array([True, False, False, False, True])
    assert expected_calibration_error(scores, hard) == pytest.approx((4 * 0.25 + 0.1) / 5)
    assert expected_calibration_error(hard.astype(float), hard) == 0.0
    assert expected_calibration_error(1.0 - hard, hard) == 1.0


def test_a_perfect_router_of_ten_recovers_the_gap_with_the_hard_queries_only() -> None:
    # Ten queries, three of them hard; the edge has 0.7, the cloud 1. Sending the hard ones first,
    # PGR rises by 1/3 for each tenth of calls: area 3 tenths of a triangle and 7 full tenths.
    scores = np.arange(1, 11) / 10
    edge = np.array([1.0] * 7 + [0.0] * 3)
    table = scored(scores, edge, np.ones(10))
    assert recovered_curve(table)[0] == pytest.approx(np.linspace(0, 1, 11))
    assert apgr(table) == pytest.approx(0.3 / 2 + 0.7)
    assert cpt50(table) == pytest.approx(0.15)
    assert cpt80(table) == pytest.approx(0.24)
    assert apgr(scored(scores[::-1], edge, np.ones(10))) == pytest.approx(0.3 / 2)


def test_a_coin_has_the_apgr_and_cpt_that_routellm_gives_its_random_router() -> None:
    # On average over ten draws, as RouteLLM's evaluation takes it: APGR 0.5, CPT 50 % and 80 %.
    rng = np.random.default_rng(0)
    edge, cloud = rng.random(14_000) < 0.68, rng.random(14_000) < 0.81
    draws = [scored(rng.random(14_000), edge, cloud) for _ in range(10)]
    assert np.mean([apgr(draw) for draw in draws]) == pytest.approx(0.5, abs=0.01)
    assert np.mean([cpt50(draw) for draw in draws]) == pytest.approx(0.5, abs=0.02)
    assert np.mean([cpt80(draw) for draw in draws]) == pytest.approx(0.8, abs=0.02)


def test_apgr_and_cpt_are_those_of_equally_full_bins_by_pandas() -> None:
    table = many()
    _, bounds = pd.qcut(table.scores, 10, retbins=True)
    calls = [table.scores >= bound for bound in bounds[:-1]] + [table.scores > bounds[-1]]
    shares = np.array([call.mean() for call in calls])[::-1]
    quality = np.array([np.where(call, table.cloud, table.edge).mean() for call in calls])[::-1]
    weak, strong = table.edge.mean(), table.cloud.mean()
    assert apgr(table) == pytest.approx(
        (np.trapezoid(quality, shares) - weak) / (strong - weak), abs=1e-12
    )
    first = int(np.argmax(quality > weak + 0.5 * (strong - weak)))
    rise = (weak + 0.5 * (strong - weak) - quality[first - 1]) / (
        quality[first] - quality[first - 1]
    )
    assert cpt50(table) == pytest.approx(
        shares[first - 1] + rise * (shares[first] - shares[first - 1])
    )


def test_the_first_crossing_counts_where_a_curve_rises_above_the_cloud_and_falls() -> None:
    # The five hardest are won by the cloud, the next two by the edge; the gap is 3 of ten.
    edge = np.array([1, 1, 1, 1, 1, 0, 0, 0, 0, 0.0])
    cloud = np.array([1, 1, 1, 0, 0, 1, 1, 1, 1, 1.0])
    table = scored(np.arange(10) / 10, edge, cloud)
    assert cpt(table, 1.0) == pytest.approx(0.3)
    # PGR at 0, 1/10, ... 1: 0 1/3 2/3 1 4/3 5/3 4/3 1 1 1 1.
    assert apgr(table) == pytest.approx((10 + 1 / 3 - 0.5) / 10)


def test_equal_scores_are_cut_together() -> None:
    table = scored(np.full(20, 0.4), [0, 1] * 10, np.ones(20))
    assert apgr(table) == pytest.approx(0.5)
    assert cpt80(table) == pytest.approx(0.8)


def test_a_metric_that_is_not_defined_is_left_out() -> None:
    nothing_hard = measure(scored([0.1, 0.2], [1, 1], [1, 1]))
    assert not {"apgr", "cpt50", "cpt80", "auroc", "recall", "precision"} & nothing_hard.keys()
    assert {"accuracy", "ece", "edge_share", "routed_quality"} <= nothing_hard.keys()


def test_every_metric_of_the_table_is_defined_on_usual_rows() -> None:
    assert measure(many()).keys() == METRICS.keys()
