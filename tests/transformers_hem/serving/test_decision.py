"""The threshold, the batch policy, and who overrules whom."""

import itertools

import numpy as np
import pytest

from predictors.errors import EngineError
from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters, Batch, Route, Scores
from transformers_hem.algorithms.fixed import CloudOnly, EdgeOnly
from transformers_hem.guards.base import Guard
from transformers_hem.serving.decision import (
    BatchPolicy,
    Decider,
    request_score,
)


class Scripted(Algorithm):
    stage = "query"

    def __init__(self, *scores: float) -> None:
        self.scores = np.array(scores)

    def score(self, batch: Batch) -> Scores:
        return self.scores


def decider(*scores: float, threshold: float = 0.5, policy: BatchPolicy = "any") -> Decider:
    return Decider("Scripted", Scripted(*scores), threshold, policy)


def batch(size: int) -> Batch:
    return Batch(size, texts=("x",) * size)


def test_hard_is_above_the_threshold_not_at_it() -> None:
    assert decider(0.5).decide(batch(1)).route == "edge"
    assert decider(0.51).decide(batch(1)).route == "cloud"


@pytest.mark.parametrize(
    ("policy", "routes"),
    [
        ("any", ["edge", "cloud", "cloud", "cloud", "cloud"]),
        ("majority", ["edge", "edge", "edge", "cloud", "cloud"]),
        ("all", ["edge", "edge", "edge", "edge", "cloud"]),
    ],
)
def test_the_policy_counts_hard_rows(policy: BatchPolicy, routes: list[str]) -> None:
    for hard, route in enumerate(routes):
        scores = [0.9] * hard + [0.1] * (4 - hard)
        assert decider(*scores, policy=policy).decide(batch(4)).route == route, hard


def test_the_request_has_one_score_that_agrees_with_its_route_at_any_threshold() -> None:
    rows = np.array([0.2, 0.8, 0.4])
    needed = {"any": 1, "majority": 2, "all": 3}
    for policy, threshold in itertools.product(needed, (0.1, 0.3, 0.5, 0.9)):
        hard = (rows > threshold).sum() >= needed[policy]
        assert (request_score(rows, policy) > threshold) == hard  # type: ignore[arg-type]


def test_a_row_without_a_signal_goes_to_the_cloud_and_says_so() -> None:
    decision = decider(0.1, np.nan).decide(batch(2))
    assert (decision.route, decision.reason, decision.score) == ("cloud", "no_signal", None)
    assert "hem_score" not in decision.parameters()
    assert decider(0.1, np.nan, policy="all").decide(batch(2)).route == "edge"


def test_prefer_overrules_the_algorithm_which_then_does_not_run() -> None:
    decision = decider().decide(batch(1), "cloud")
    assert (decision.route, decision.reason, decision.score) == ("cloud", "prefer", None)
    assert decider(0.9).decide(batch(1), "edge").route == "edge"


@pytest.mark.parametrize(("kind", "route"), [(EdgeOnly, "edge"), (CloudOnly, "cloud")])
@pytest.mark.parametrize("threshold", [0.0, 1.0])
def test_the_fixed_ones_ignore_the_threshold(
    kind: type[Algorithm], route: str, threshold: float
) -> None:
    fixed = Decider(kind.__name__, kind(AlgorithmParameters()), threshold)
    decision = fixed.decide(batch(2))
    assert (decision.route, decision.reason) == (route, "algorithm")
    assert fixed.decide(batch(2), "edge").route == "edge"


def test_a_decision_tells_itself_in_parameters() -> None:
    assert decider(0.7, threshold=0.25).decide(batch(1)).parameters() == {
        "hem_route": "cloud",
        "hem_score": 0.7,
        "hem_algorithm": "Scripted",
        "hem_threshold": 0.25,
        "hem_reason": "algorithm",
    }


@pytest.mark.parametrize("scores", [(0.1,), (1.5, 0.1), (-0.5, 0.1)])
def test_an_algorithm_that_breaks_its_contract_is_named(scores: tuple[float, ...]) -> None:
    with pytest.raises(EngineError, match="Scripted must score 2 rows in"):
        decider(*scores).decide(batch(2))


class Reader(Algorithm):
    """Keeps what it is given to score."""

    stage = "query"

    def __init__(self) -> None:
        self.texts: tuple[str, ...] = ()

    def score(self, batch: Batch) -> Scores:
        self.texts = batch.texts
        return np.zeros(batch.size)


@pytest.mark.parametrize(
    ("text", "scored"),
    [
        ("short", "short"),
        ("0123456789", "0123456789"),
        ("0123456789X", "01234\n6789X"),
        ("a" * 100 + "the question", "aaaaa\nstion"),
        ("é" * 11, "ééééé\nééééé"),
        ("", ""),
    ],
)
def test_of_a_long_query_the_first_and_the_last_half_of_the_limit_are_scored(
    text: str, scored: str
) -> None:
    reader = Reader()
    Decider("Reader", reader, 0.5, scored_characters=10).judge(Batch(2, (text, "other")))
    assert reader.texts == (scored, "other")


class Whole(Guard):
    def __init__(self) -> None:
        self.texts: tuple[str, ...] = ()

    def route(self, batch: Batch) -> Route | None:
        self.texts = batch.texts
        return None


def test_a_guard_sees_all_of_a_long_query() -> None:
    guard = Whole()
    decider = Decider("Reader", Reader(), 0.5, guards={"Whole": guard}, scored_characters=10)
    decider.decide(Batch(1, ("a" * 100,)))
    assert guard.texts == ("a" * 100,)


class Fixed(Guard):
    """Sends all to the edge."""

    def __init__(self) -> None:
        pass

    def route(self, batch: Batch) -> Route | None:
        return "edge"


class Private(Fixed):
    privacy = True


@pytest.mark.parametrize(
    ("guards", "prefer", "sticky", "decided"),
    [
        ([Private], "cloud", True, ("edge", "0")),
        ([Fixed, Private], "cloud", True, ("edge", "1")),
        ([Fixed], "cloud", True, ("cloud", "prefer")),
        ([Fixed], None, True, ("edge", "0")),
        ([], "edge", True, ("edge", "prefer")),
        ([], None, True, ("cloud", "sticky")),
        ([], None, False, None),
    ],
)
def test_who_wins(
    guards: list[type[Fixed]],
    prefer: Route | None,
    sticky: bool,
    decided: tuple[str, str] | None,
) -> None:
    """The names of guards are their places."""
    rules = {str(place): kind() for place, kind in enumerate(guards)}
    decider = Decider("Scripted", Scripted(0.1), 0.5, guards=rules)
    decision = decider.overrule(batch(1), prefer, sticky)
    assert (decision and (decision.route, decision.reason)) == decided
