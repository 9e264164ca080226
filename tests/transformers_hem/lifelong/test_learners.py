"""Learners that are told how much each side of a row counts."""

from dataclasses import replace

import numpy as np
import pytest

from transformers_hem.labels.labels import Labels
from transformers_hem.routers.kernel.learner import KernelTraining, fit
from transformers_hem.routers.linear.learner import fit_linear
from transformers_hem.routers.targets import TooLittle, require_learnable

KINDS = ("add small numbers", "multiply large numbers", "name a river", "prove a theorem")


@pytest.fixture(scope="module")
def labels() -> Labels:
    """Of the last 40 rows only the edge was seen."""
    rng = np.random.default_rng(0)
    kinds = rng.integers(4, size=160)
    edge = (rng.random(160) < np.array([0.9, 0.3, 0.8, 0.2])[kinds]).astype(float)
    cloud = (rng.random(160) < 0.9).astype(float)
    weights = np.ones((160, 2))
    cloud[120:], weights[120:, 1] = 0.9, 0
    queries = [f"{KINDS[kind]} {i}" for i, kind in enumerate(kinds)]
    return Labels(queries, edge, cloud, 1.0, "", weights=weights)


def guessed(labels: Labels, guess: float) -> Labels:
    """With another guess of what was not seen, by which the same rows are hard."""
    return replace(labels, cloud=np.where(np.arange(160) < 120, labels.cloud, guess))


def test_a_guess_of_what_was_not_seen_teaches_a_linear_router_nothing(labels: Labels) -> None:
    models = [fit_linear(guessed(labels, guess), seed=0)[0] for guess in (0.9, 0.1)]
    assert (models[0].weights == models[1].weights).all()
    assert models[0].config == models[1].config
    assert models[0].config.link == "difference"


def test_what_was_seen_teaches_though_the_other_side_was_not(labels: Labels) -> None:
    other = replace(labels, edge=np.where(np.arange(160) < 120, labels.edge, 1 - labels.edge))
    before, after = (fit_linear(each, seed=0)[0] for each in (labels, other))
    assert before.score("prove a theorem 7") > after.score("prove a theorem 7")


def test_a_guess_teaches_a_kernel_router_nothing_either(labels: Labels) -> None:
    features = np.random.default_rng(1).normal(size=(160, 12)).astype(np.float32)
    chosen = KernelTraining.model_construct(components=4)
    kernels = [fit(features, guessed(labels, guess), chosen, seed=0) for guess in (0.9, 0.1)]
    assert (kernels[0].weights == kernels[1].weights).all()


def test_metrics_are_of_rows_of_which_both_sides_were_seen(labels: Labels) -> None:
    model, out_of_fold = fit_linear(labels, seed=0)
    assert model.config.metrics["cloud_quality"] == round(float(labels.cloud[:120].mean()), 4)
    assert model.config.rows == 160 and len(out_of_fold.scores) == 160


def test_one_pair_is_one_wherever_it_stands(labels: Labels) -> None:
    """A regression for each side needs none, and something has to be measured by it."""
    weights = np.tile([1.0, 0.0], (160, 1))
    with pytest.raises(TooLittle, match="of none of 160 rows both sides"):
        require_learnable(replace(labels, weights=weights))
    weights[0, 1] = 1
    require_learnable(replace(labels, weights=weights))
