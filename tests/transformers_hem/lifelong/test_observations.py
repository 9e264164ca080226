from typing import Any

import numpy as np
import pytest

from predictors.errors import ConfigurationError
from transformers_hem.lifelong.observations import Observation, Observations, Propensity


def test_a_side_is_seen_by_serving_or_as_its_shadow() -> None:
    propensity = Propensity(edge=0.75, shadow_edge=0.2, shadow_cloud=0.4)
    assert propensity.sees_edge == pytest.approx(0.75 + 0.25 * 0.4)
    assert propensity.sees_cloud == pytest.approx(0.25 + 0.75 * 0.2)
    assert propensity.sees_both == pytest.approx(0.75 * 0.2 + 0.25 * 0.4)


@pytest.mark.parametrize("served", ["edge", "cloud"])
def test_what_served_was_seen_and_the_other_only_as_a_shadow(served: Any) -> None:
    propensity = Propensity.of_served(served, 1.0, 0.1)
    seen = {"edge": propensity.sees_edge, "cloud": propensity.sees_cloud}
    other = "cloud" if served == "edge" else "edge"
    assert seen == {served: 1.0, other: pytest.approx(0.1)}
    assert propensity.sees_both == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("fields", "fault"),
    [
        ({"edge": None, "cloud": None}, "neither side"),
        ({"edge": 1.5}, "from 0 to 1, not 1.5 \\(edge\\)"),
        ({"edge": float("nan")}, "from 0 to 1"),
        ({"kind": "shadow", "cloud": None}, "'shadow' has both sides"),
        ({"kind": "gossip"}, "unknown kind 'gossip'"),
        ({"at": float("inf")}, "a time must be finite"),
        ({"cloud": 1.0, "propensity": Propensity(edge=1.0)}, "propensity of 0"),
    ],
)
def test_what_cannot_have_been_seen_is_refused(fields: dict[str, Any], fault: str) -> None:
    said: dict[str, Any] = {"query": "q", "edge": 1.0, "cloud": None, "kind": "explicit"}
    with pytest.raises(ConfigurationError, match=fault):
        Observation(**said | fields)


def test_a_propensity_is_a_probability() -> None:
    with pytest.raises(ConfigurationError, match=r"not 1.2 \(shadow_edge\)"):
        Propensity(edge=1.0, shadow_edge=1.2)


def test_columns_tell_what_was_seen_and_who_said_it() -> None:
    rows = [
        Observation("a", 1.0, 0.0, "shadow"),
        Observation("b", None, 0.5, "explicit", client="x"),
        Observation("c", 0.0, None, "implicit", client="w"),
    ]
    seen = Observations.of(rows)
    assert seen.seen.tolist() == [[True, True], [False, True], [True, False]]
    assert seen.paired.tolist() == [True, False, False]
    assert seen.trusted.tolist() == [True, False, False]
    assert [seen.names[i] if i >= 0 else "" for i in seen.clients] == ["", "x", "w"]
    assert seen.weights[2] < seen.weights[1]
    assert seen.subset(np.array([2, 0])).queries == ["c", "a"]


def test_who_served_is_known_but_of_base_rows_and_where_chance_chose() -> None:
    rows = [
        Observation("edge", 1.0, None, "explicit", Propensity(1.0)),
        Observation("cloud, always a pair", 1.0, 1.0, "shadow", Propensity(0.0, 0.1, 1.0)),
        Observation("a coin", 1.0, None, "explicit", Propensity(0.5)),
        Observation("base", 1.0, 1.0, "base"),
    ]
    seen = Observations.of(rows)
    assert seen.sides.tolist() == [0, 1, -1, -1]
    assert seen.of_traffic.tolist() == [True, True, True, False]
    assert seen.subset(np.array([3, 1])).sides.tolist() == [-1, 1]
