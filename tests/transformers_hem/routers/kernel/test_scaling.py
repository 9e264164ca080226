"""Sums of known worth, which say too little."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

from transformers_hem.labels.labels import Labels
from transformers_hem.routers.kernel.learner import KernelTraining, learn
from transformers_hem.routers.kernel.scaling import LEAST, Scaling, scaled_apart
from transformers_hem.routers.kernel.score import BLOCKS

ROWS = 4000


def known(seed: int) -> tuple[np.ndarray, Labels]:
    """Sums [N, 2]: of the edge a third of the log-odds, of the cloud 1 too little."""
    rng = np.random.default_rng(seed)
    sums = rng.normal(size=(ROWS, 2))
    right = rng.random((ROWS, 2)) < expit(sums * [3, 1] + [0, 1])
    edge, cloud = right.T.astype(float)
    every = [f"{i}" for i in range(ROWS)]
    return sums, Labels(every, edge, cloud, 1.0, "", weights=np.ones((ROWS, 2)))


def test_each_side_says_as_much_as_it_knows() -> None:
    sums, labels = known(0)
    found = Scaling.of(sums, labels)
    assert found.factors == pytest.approx([3, 1], abs=0.25)
    assert found.shifts == pytest.approx([0, 1], abs=0.15)
    edge, cloud = expit(sums * found.factors + found.shifts).T
    assert found.difficulty(sums) == pytest.approx((1 + cloud - edge) / 2)


def test_what_was_not_seen_of_a_side_has_no_say() -> None:
    sums, labels = known(1)
    lies = np.arange(ROWS) % 3 == 0
    weights = np.column_stack([~lies, np.ones(ROWS)]).astype(float)
    told = replace(labels, edge=np.where(lies, 1 - labels.edge, labels.edge), weights=weights)
    assert Scaling.of(sums, told).factors == pytest.approx([3, 1], abs=0.3)
    assert Scaling.of(sums, replace(told, weights=None)).factors[0] < 1


def test_no_order_is_turned_around() -> None:
    sums, labels = known(2)
    found = Scaling.of(-sums, labels)
    assert found.factors.tolist() == [LEAST, LEAST]


def test_sums_that_tell_nothing_say_what_was_seen_on_average() -> None:
    """Their factor is held, and their middle is not that of another factor."""
    sums, labels = known(2)
    turned = 5 - sums
    found = Scaling.of(turned, labels)
    assert found.factors.tolist() == [LEAST, LEAST]
    edge, cloud = expit(turned * found.factors + found.shifts).mean(axis=0)
    assert edge == pytest.approx(labels.edge.mean(), abs=0.01)
    assert cloud == pytest.approx(labels.cloud.mean(), abs=0.01)


def test_few_rows_that_happen_to_be_apart_say_not_all() -> None:
    sums = np.linspace([-0.5, -0.5], [0.5, 0.5], 10)
    right = (sums > 0).astype(float)
    every, weights = [f"{i}" for i in range(10)], np.ones((10, 2))
    found = Scaling.of(sums, Labels(every, *right.T, 1.0, "", weights=weights))
    chances = expit(sums * found.factors + found.shifts)
    assert 0.8 < chances.max() < 0.97 and chances.min() == pytest.approx(1 - chances.max())
    always = Labels(every, *np.ones((2, 10)), 1.0, "", weights=weights)
    found = Scaling.of(sums, always)
    assert expit(sums * found.factors + found.shifts).max() < 0.97


def test_a_side_that_nobody_saw_is_scaled_by_nothing() -> None:
    sums, labels = known(5)
    assert labels.weights is not None
    unseen = replace(labels, weights=labels.weights * [1, 0])
    found = Scaling.of(sums, unseen)
    assert found.factors[0] == pytest.approx(3, abs=0.25)
    assert (found.factors[1], found.shifts[1]) == (LEAST, 0)


def test_rows_are_scaled_by_what_others_say() -> None:
    sums, labels = known(3)
    rows = np.arange(ROWS)
    first, second = rows < ROWS // 2, rows >= ROWS // 2
    parts = [(rows[first], rows[second]), (rows[second], rows[first])]
    before = scaled_apart(sums, labels, parts)
    others = replace(labels, edge=np.where(second, 1 - labels.edge, labels.edge))
    after = scaled_apart(sums, others, parts)
    assert (after[second] == before[second]).all()
    assert (after[first] != before[first]).all()


def test_a_kernel_of_sides_that_were_not_both_seen_is_scaled() -> None:
    """Where both are known, all stays as it was."""
    rng = np.random.default_rng(4)
    features = rng.normal(size=(300, BLOCKS * 8)).astype(np.float32)
    chances = expit(3 * features[:, :2] + [0, 1])
    edge, cloud = (rng.random((300, 2)) < chances).T.astype(float)
    labels = Labels([f"{i}" for i in range(300)], edge, cloud, 1.0, "")
    chosen = KernelTraining.model_construct(components=8, gamma=0.7, landmarks=300, c=0.1)
    plain, _ = learn(features, labels, chosen, 0)
    scaled, out_of_fold = learn(features, replace(labels, weights=np.ones((300, 2))), chosen, 0)
    factors = scaled.weights / plain.weights
    assert (factors > 1.5).all() and factors.std(axis=0) == pytest.approx(0, abs=1e-3)
    assert scaled.difficulty(features).std() > 1.3 * plain.difficulty(features).std()
    plainly = learn(features, labels, chosen, 0)[1]
    assert out_of_fold.scores.std() > 1.3 * plainly.scores.std()
