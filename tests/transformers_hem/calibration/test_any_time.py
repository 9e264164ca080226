"""A promise that holds whenever the sampling ends."""

from pathlib import Path

import numpy as np
import pytest

from predictors.errors import ConfigurationError
from transformers_hem.calibration.any_time import MaxQualityLossAnyTime
from transformers_hem.calibration.sample import Sample
from transformers_hem.labels.labels import Labels


def pairs(count: int, seed: int) -> Sample:
    """Scores that are the probability of a loss; the cloud is always right."""
    rng = np.random.default_rng(seed)
    scores = rng.random(count)
    edge = (rng.random(count) > scores).astype(float)
    queries = [f"q{i}" for i in range(count)]
    labels = Labels(queries, edge, np.ones(count), 1.0, "")
    return Sample(Path("rows"), [{"query": query} for query in queries], scores, labels, "")


def chosen(count: int, seed: int, limit: float) -> float:
    threshold, _ = MaxQualityLossAnyTime(limit).promise(pairs(count, seed), "query", 0.9)
    return threshold


def test_the_promise_is_kept_as_often_as_it_says() -> None:
    """Of scores that are probabilities a threshold t loses t^2 / 2 on average."""
    broken = sum(chosen(200, seed, 0.1) ** 2 / 2 > 0.1 for seed in range(20))
    assert broken <= 5  # two are allowed on average; six or more have a chance of 1%


def test_more_pairs_allow_more_at_the_edge() -> None:
    few, many = (chosen(count, 0, 0.05) for count in (200, 1000))
    assert few < many <= 0.33


def test_too_few_pairs_promise_nothing() -> None:
    with pytest.raises(ConfigurationError, match="10 rows can't promise"):
        chosen(10, 0, 0.02)
