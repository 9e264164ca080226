import numpy as np
import pytest

from predictors.errors import ConfigurationError
from transformers_hem.lifelong.observations import Observation, Observations, Propensity
from transformers_hem.lifelong.recalibration import plain_sample, recalibrated


def pairs(count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Scores that are the probability of a loss; the cloud is always right."""
    scores = rng.random(count)
    edge = rng.random(count) > scores
    return scores, np.stack([edge, np.ones(count)], axis=1).astype(float)


def test_the_promise_is_kept_as_often_as_it_says() -> None:
    """Of scores that are probabilities a threshold t loses t^2 / 2 on average."""
    broken = 0
    for seed in range(20):
        threshold = recalibrated(*pairs(200, np.random.default_rng(seed)), 0.1, 0.9)
        broken += threshold**2 / 2 > 0.1
    assert broken <= 5  # two are allowed on average; six or more have a chance of 1%


def test_more_pairs_allow_more_at_the_edge() -> None:
    few, many = (
        recalibrated(*pairs(count, np.random.default_rng(0)), 0.05, 0.9) for count in (200, 1000)
    )
    assert few < many <= 0.33


def test_too_few_pairs_promise_nothing() -> None:
    with pytest.raises(ConfigurationError, match="10 pairs can't promise"):
        recalibrated(*pairs(10, np.random.default_rng(0)), 0.02, 0.9)


def test_a_plain_sample_makes_up_for_what_was_likelier_to_be_paired() -> None:
    often, seldom = Propensity(1.0, 0.4, 0.1), Propensity(0.0, 0.4, 0.1)
    rows = [
        Observation(f"q{i}", 1.0, 1.0, "shadow", often if i % 5 else seldom, at=float(i))
        for i in range(5000)
    ]
    seen = Observations.of([*rows, Observation("one side", 1.0, None, "explicit", often)])
    kept = plain_sample(seen)
    at_cloud = kept % 5 == 0
    assert at_cloud.sum() == 1000  # the rarest are all kept
    assert (~at_cloud).sum() == pytest.approx(1000, abs=120)  # a quarter of the 4,000
    assert (np.diff(seen.times[kept]) > 0).all()
    assert plain_sample(seen).tolist() == kept.tolist()
