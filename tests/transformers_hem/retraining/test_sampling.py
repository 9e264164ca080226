"""A promise needs pairs that are a plain sample of the traffic."""

import numpy as np
import pytest

from predictors.errors import ConfigurationError
from tests.transformers_hem.feedback.records import decided, said
from tests.transformers_hem.retraining.queries import Store, queries
from transformers_hem.algorithms.base import Route
from transformers_hem.feedback.reading import Example
from transformers_hem.lifelong.observations import Observation, Observations
from transformers_hem.retraining.gathering import NOT_OWN, gather, of_example, read_store
from transformers_hem.retraining.live import live_loss
from transformers_hem.retraining.sampling import sampled


def pairs(store: Store) -> Observations:
    rows = [of_example(example, hidden=False) for example in read_store(store.path)]
    return Observations.of(
        [row for row in rows if isinstance(row, Observation) and row.kind == "shadow"]
    )


def undrawn(store: Store, count: int, at: float, route: Route, share: float = 0.0) -> None:
    store.shadows(queries(count, 3), at, route=route, source="user", share=share)


def test_pairs_of_both_sides_with_one_share_are_taken(store: Store) -> None:
    store.shadows(queries(100, 1), 1000.0)
    store.shadows(queries(50, 2), 1000.0, route="cloud")
    assert len(sampled(store.path, pairs(store))) == 150


def test_sides_may_have_shares_of_their_own(store: Store) -> None:
    store.shadows(queries(20, 1), 1000.0, share=0.1)
    undrawn(store, 180, 1000.0, "edge", share=0.1)
    store.shadows(queries(60, 2), 1000.0, route="cloud", share=0.3)
    undrawn(store, 140, 1000.0, "cloud", share=0.3)
    assert len(sampled(store.path, pairs(store))) == 80


def test_pairs_of_the_edges_answers_alone_promise_nothing(store: Store) -> None:
    store.shadows(queries(100, 1), 1000.0)
    undrawn(store, 50, 1000.0, "cloud")
    with pytest.raises(
        ConfigurationError, match=r"the cloud answered 50 .* none was drawn"
    ) as said:
        sampled(store.path, pairs(store))
    assert "Give HEM_FEEDBACK_SHADOW_EDGE (where it is not set, HEM_FEEDBACK_SHADOW) more" in str(
        said.value
    )


def test_pairs_of_the_clouds_answers_alone_promise_nothing_either(store: Store) -> None:
    store.shadows(queries(100, 1), 1000.0, route="cloud")
    undrawn(store, 50, 1000.0, "edge")
    with pytest.raises(ConfigurationError, match=r"none was .* Give HEM_FEEDBACK_SHADOW more than"):
        sampled(store.path, pairs(store))


def test_pairs_from_before_both_sides_were_drawn_are_left_out(store: Store) -> None:
    store.shadows(queries(100, 1), 1000.0)
    undrawn(store, 30, 1000.0, "cloud")
    store.shadows(queries(40, 2), 1060.0, route="cloud")
    found = sampled(store.path, pairs(store))
    assert len(found) == 80 and found.times.min() == 1060


def test_pairs_that_miss_one_side_promise_nothing(store: Store) -> None:
    store.shadows(queries(100, 1), 1000.0)
    store.shadows(queries(10, 2), 1000.0, route="cloud")
    undrawn(store, 90, 1000.0, "cloud", share=0.1)
    with pytest.raises(ConfigurationError, match="the cloud answered 10 were asked of the edge"):
        sampled(store.path, pairs(store))


def test_where_all_stay_at_the_edge_there_is_no_other_side(store: Store) -> None:
    store.shadows(queries(100, 1), 1000.0)
    assert len(sampled(store.path, pairs(store))) == 100


def test_a_scorer_is_believed_whoever_asked() -> None:
    scored = said("r", source="shadow", scorer="exact", edge_score=0.0, cloud_score=1.0)
    row = of_example(Example(decided("r", shadow_share=0.1), scored), hidden=False)
    assert isinstance(row, Observation) and row.client == ""


def test_who_prefers_a_side_has_seen_both_without_a_shadow() -> None:
    row = of_example(Example(decided("r"), said("r", preferred="cloud")), hidden=False)
    assert isinstance(row, Observation)
    assert (row.edge, row.cloud, row.client) == (0.0, 1.0, "c1")
    assert row.propensity.sees_both == 1.0


def test_what_others_say_of_an_answer_is_left_out_where_that_is_wanted(store: Store) -> None:
    store.shadows(queries(10, 1), 1000.0, source="user")
    store.shadows(queries(5, 2), 2000.0, source="user", client="another")
    store.shadows(queries(3, 3), 3000.0, client="")
    everybody = gather([], store.path, hidden=False)
    assert (everybody.rows, everybody.left_out) == ({"explicit": 15, "shadow": 3}, {})
    own = gather([], store.path, hidden=False, own=True)
    assert (own.rows, own.left_out) == ({"explicit": 10, "shadow": 3}, {NOT_OWN: 5})


def test_a_promise_that_breaks_after_many_pairs_is_seen() -> None:
    losses = np.concatenate([np.zeros(20_000), np.ones(200)])
    live = live_loss(losses, len(losses), len(losses), 0.05)
    assert live is not None and live.broken
    kept = live_loss(np.zeros(20_200), 20_200, 20_200, 0.05)
    assert kept is not None and not kept.broken
