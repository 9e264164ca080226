"""The algorithms for detectors and classifiers: Sedna's decisions on valid input, never easy on
anything else."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import example, given, strategies as st

from transformers_hem.algorithms.base import Batch
from transformers_hem.serving.decision import Decider, Decision
from transformers_hem.serving.settings import HEMSettings, build_decider

UNIT = st.one_of(st.floats(0, 1), st.integers(0, 20).map(lambda n: n / 20))
Rule = Callable[[list[float]], bool]


def decider(name: str, **parameters: float | str) -> Decider:
    given = [f'{{"key": "{key}", "value": "{value}"}}' for key, value in parameters.items()]
    block = f'{{"name": "{name}", "parameters": [{", ".join(given)}]}}'
    return build_decider(HEMSettings(parameters=block))


def detected(*images: list[float]) -> Batch:
    """A batch of images whose boxes have these scores; shorter ones are filled up."""
    longest = max(map(len, images))
    boxes = np.full((len(images), longest, 6), -1.0)
    for image, scores in enumerate(images):
        for box, score in enumerate(scores):
            boxes[image, box] = [0, 0, 1, 1, score, 2]
    return Batch(len(images), boxes=boxes)


def classified(*rows: list[float]) -> Batch:
    return Batch(len(rows), probabilities=np.array(rows, dtype=np.float64))


def agrees(decision: Decision, hard: bool) -> bool:
    return decision.route == ("cloud" if hard else "edge") and decision.reason == "algorithm"


@given(scores=st.lists(UNIT, min_size=1, max_size=12), threshold=UNIT)
@example(scores=[0.3, 0.3, 0.3], threshold=0.3)
@example(scores=[0.29999999999999993], threshold=0.3)
@example(scores=[0.0], threshold=0.0)
@example(scores=[0.9999999999999999], threshold=1.0)
def test_threshold_is_hard_where_the_mean_score_is_below(
    scores: list[float], threshold: float
) -> None:
    total = 0.0
    for score in scores:
        total += score
    mined = decider("Threshold", threshold=threshold).decide(detected(scores))
    assert agrees(mined, total / len(scores) < threshold)


@given(scores=st.lists(UNIT, min_size=1, max_size=12), box=UNIT, img=UNIT)
@example(scores=[0.1] * 3 + [0.9] * 7, box=0.5, img=0.7)
@example(scores=[0.9], box=0.5, img=1.0)
@example(scores=[0.1], box=0.5, img=0.0)
def test_ibt_is_hard_where_enough_boxes_are_doubtful(
    scores: list[float], box: float, img: float
) -> None:
    share = sum(score <= box for score in scores) / len(scores)
    mined = decider("IBT", threshold_box=box, threshold_img=img).decide(detected(scores))
    assert agrees(mined, share >= 1 - img)


@given(
    p=st.lists(UNIT.filter(lambda value: value > 0), min_size=2, max_size=12),
    threshold=UNIT,
    normalise=st.booleans(),
)
@example(p=[0.5, 0.5], threshold=0.0, normalise=False)
@example(p=[1 / math.e] * 3, threshold=0.0, normalise=False)
def test_cross_entropy_is_hard_where_the_probabilities_are_spread(
    p: list[float], threshold: float, normalise: bool
) -> None:
    if normalise:
        p = [min(each / sum(p), 1.0) for each in p]
    entropy = 0.0
    for each in p:
        entropy += each * math.log(each) if each else 0.0
    confidence = 1 + entropy / math.log(len(p))
    mined = decider("CrossEntropy", threshold_cross_entropy=threshold).decide(classified(p))
    assert agrees(mined, confidence < threshold)


@pytest.mark.parametrize("name", ["Threshold", "IBT"])
def test_the_score_rises_as_the_boxes_scores_fall(name: str) -> None:
    images = [[score / 10, 0.7] for score in range(11)]
    scores = decider(name).algorithm.score(detected(*images))
    assert (np.diff(scores) <= 0).all()
    assert scores[0] > scores[-1]


def test_fault_corrected_cross_entropy_fails_on_probability_zero() -> None:
    """Sedna: math domain error, from log(0)."""
    scores = decider("CrossEntropy").algorithm.score(classified([1.0, 0.0], [0.0, 0.0]))
    assert scores.tolist() == [0, 0]


def test_fault_corrected_cross_entropy_fails_on_one_class() -> None:
    """Sedna: division by log(1) = 0. What the formula tends to: certain at 0 and 1 only."""
    mined = decider("CrossEntropy")
    assert [mined.decide(classified([p])).route for p in (1.0, 0.0, 0.6)] == [
        *("edge", "edge", "cloud")
    ]


MALFORMED_BOXES = {
    "no tensor": Batch(1),
    "a score above 1": detected([0.9, 1.5]),
    "a score below 0": detected([0.9, -0.5]),
    "a score that is no number": detected([0.9, math.nan]),
    "a label that is no number": Batch(1, boxes=np.array([[[0, 0, 1, 1, 0.9, math.nan]]])),
}


@pytest.mark.parametrize("name", ["Threshold", "IBT"])
@pytest.mark.parametrize("batch", MALFORMED_BOXES.values(), ids=MALFORMED_BOXES.keys())
def test_fault_corrected_threshold_and_ibt_call_malformed_input_easy(
    name: str, batch: Batch
) -> None:
    decision = decider(name, no_boxes="edge").decide(batch)
    assert (decision.route, decision.reason, decision.score) == ("cloud", "no_signal", None)


@pytest.mark.parametrize("row", [[0.5, 1.5], [0.5, -0.1], [0.5, math.nan], []])
def test_probabilities_that_are_none_are_no_signal(row: list[float]) -> None:
    decision = decider("CrossEntropy").decide(classified(row))
    assert (decision.route, decision.reason) == ("cloud", "no_signal")


@pytest.mark.parametrize("name", ["Threshold", "IBT"])
def test_an_image_without_boxes_goes_where_its_user_says(name: str) -> None:
    nothing = Batch(1, boxes=np.zeros((1, 0, 6)))
    assert decider(name).decide(nothing).reason == "no_signal"
    assert decider(name, no_boxes="edge").decide(nothing).route == "edge"
    beside = decider(name).algorithm.score(detected([], [0.9, 0.8]))
    assert np.isnan(beside).tolist() == [True, False]


def test_a_row_that_fills_up_is_no_box() -> None:
    alone = decider("Threshold").algorithm.score(detected([0.6]))
    filled = decider("Threshold").algorithm.score(detected([0.6], [0.1, 0.2, 0.3]))
    assert alone[0] == filled[0]
