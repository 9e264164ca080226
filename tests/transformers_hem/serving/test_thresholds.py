"""The threshold comes from one place, and is never in two minds."""

import json

import pytest

from predictors.errors import ConfigurationError
from transformers_hem.serving.settings import HEMSettings, build_decider


def threshold(algorithm: str, environment: float | None = None, **parameters: str) -> float:
    settings = HEMSettings(
        algorithm=algorithm, threshold=environment, parameters=json.dumps(parameters)
    )
    return build_decider(settings).threshold


@pytest.mark.parametrize("name", ["LinearRouter", "ConfidenceRouter", "Random", "CrossEntropy"])
def test_a_threshold_among_the_parameters_is_that_of_the_score(name: str) -> None:
    assert threshold(name, threshold="0.25") == 0.25


def test_an_algorithm_with_a_threshold_of_its_own_keeps_its_meaning() -> None:
    assert threshold("Threshold", threshold="0.75") == 0.25
    assert threshold("IBT", threshold_img="0.75") == pytest.approx(0.25)
    assert threshold("CrossEntropy", threshold_cross_entropy="0.75") == 0.25


def test_what_says_the_same_is_no_contradiction() -> None:
    assert threshold("Random", 0.3, threshold="0.3") == 0.3
    assert threshold("Threshold", 0.1, threshold="0.9") == pytest.approx(0.1)
    assert threshold("Random", 0.3, random_ratio="0.7", threshold="0.3") == pytest.approx(0.3)


def test_parameters_that_were_not_given_contradict_nobody() -> None:
    assert threshold("Threshold", 0.2) == 0.2
    assert threshold("IBT", 0.2, threshold_box="0.9") == 0.2


@pytest.mark.parametrize(
    ("algorithm", "environment", "parameters", "fault"),
    [
        ("LinearRouter", 0.3, {"threshold": "0.4"}, "'threshold' .* 0.4, but HEM_THRESHOLD at 0.3"),
        ("Threshold", 0.9, {"threshold": "0.9"}, "'threshold' .* 0.1, but HEM_THRESHOLD at 0.9"),
        ("IBT", 0.5, {"threshold_img": "0.9"}, "'threshold_img' .* 0.1, but HEM_THRESHOLD at 0.5"),
        ("Random", None, {"random_ratio": "0.2", "threshold": "0.2"}, "'random_ratio' .* 0.8, but"),
    ],
)
def test_a_contradiction_is_refused(
    algorithm: str, environment: float | None, parameters: dict[str, str], fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        threshold(algorithm, environment, **parameters)
