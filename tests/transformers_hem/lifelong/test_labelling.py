import numpy as np
import pytest

from transformers_hem.lifelong.labelling import labels_of
from transformers_hem.lifelong.observations import Observation, Observations, Propensity

EDGE, CLOUD = Propensity(1.0, 0.1, 0.1), Propensity(0.0, 0.1, 0.1)


def test_equal_queries_become_one_row_with_what_each_side_showed() -> None:
    seen = Observations.of(
        [
            Observation("a", 1.0, None, "explicit", EDGE, client="x"),
            Observation("b", 0.0, 1.0, "base"),
            Observation("a", 0.0, None, "implicit", EDGE, client="y"),
            Observation("a", None, 1.0, "explicit", CLOUD, client="x"),
        ]
    )
    labelled = labels_of(seen)
    labels = labelled.labels
    assert labels.queries == ["a", "b"] and labelled.rows.tolist() == [0, 1, 0, 0]
    assert labels.edge.tolist() == pytest.approx([1 / 1.3, 0])
    assert labels.cloud.tolist() == [1, 1]
    assert labels.weights is not None
    assert labels.weights.tolist() == [[pytest.approx(1.3), 1], [1, 1]]


def test_a_side_that_was_not_seen_is_a_guess_that_weighs_nothing() -> None:
    rows = [Observation(f"easy {i}", 1.0, 1.0, "base") for i in range(20)]
    rows += [Observation(f"hard {i}", 0.0, 1.0, "base") for i in range(20)]
    rows += [Observation("hard one", None, 1.0, "explicit", CLOUD)]
    labels = labels_of(Observations.of(rows)).labels
    assert labels.weights is not None and labels.weights[-1].tolist() == [0, 1]
    assert labels.edge[-1] < 0.4
    assert labels.paired.tolist() == list(range(40))


def test_the_fingerprint_is_of_what_was_learned() -> None:
    def found(edge: float) -> str:
        return labels_of(Observations.of([Observation("a", edge, 1.0, "base")])).labels.sha256

    assert found(1.0) == found(1.0) != found(0.0)


def test_a_disbelieved_row_is_as_if_it_had_not_been_said() -> None:
    from dataclasses import replace

    rows = [Observation("a", 1.0, 1.0, "base"), Observation("a", 0.0, None, "explicit", EDGE)]
    seen = Observations.of(rows)
    labels = labels_of(replace(seen, weights=np.array([1.0, 0.0]))).labels
    assert labels.edge.tolist() == [1.0]
