"""Which of a store's decisions an edge share is promised of; in SQLite and in PostgreSQL."""

import math
import time
from collections.abc import Iterator

import pytest

from tests.transformers_hem.retraining.queries import Store, queries
from transformers_hem.feedback.place import Place
from transformers_hem.lifelong.drawing import LARGEST
from transformers_hem.retraining import traffic
from transformers_hem.retraining.traffic import Traffic, read_traffic
from transformers_hem.routers.fingerprints import fingerprint
from transformers_hem.routers.linear.features import HashedQuery, extract

DAY = 86_400.0
NEEDED = 50


def texts(count: int, seed: int) -> list[str]:
    return [query for query, *_ in queries(count, seed)]


@pytest.fixture
def store(place: Place) -> Iterator[Store]:
    made = Store(place.url)
    yield made
    made.close()


def drawn(store: Store, *, hidden: bool = False) -> Traffic:
    return read_traffic(store.path, NEEDED, hidden=hidden)


def test_all_that_an_algorithm_has_judged_counts_whoever_says_something_of_it(store: Store) -> None:
    asked = texts(200, 1)
    store.decides(asked[:50], 1000.0)
    store.decides(asked[50:80], 1000.0, way="v2", route="cloud", served=None)
    store.decides(asked[80:100], 1000.0, status=503, degraded="edge", served=None)
    # A budget that is used up, an edge that fails: of one end of the scores alone.
    store.decides(asked[100:120], 1000.0, reason="budget", score=0.9)
    store.decides(asked[120:130], 1000.0, reason="edge_failed", score=0.1, route="cloud")
    store.decides(asked[130:140], 1000.0, reason="no_signal", score=None, route="cloud")
    store.shadows(queries(30, 2), 1000.0)
    store.shadows(queries(30, 3), 1000.0, source="user", route="cloud")
    # Decided by somebody else, or with nothing that could be scored.
    for reason in ("prefer", "sticky", "privacy", "budget", "strategy", "edge_cannot"):
        store.decides(asked[140:150], 1000.0, reason=reason, score=None)
    store.decides(asked[150:160], 1000.0, query=None, query_hash="")
    found = drawn(store)
    assert found.decided == 140 + 60 and found.enough
    assert len(found.queries) == pytest.approx(1.25 * NEEDED, abs=25)
    known = {*asked[:140], *(query for seed in (2, 3) for query, *_ in queries(30, seed))}
    assert set(found.queries) <= known
    assert found.held == {fingerprint(query) for query in found.queries}


def test_queries_without_texts_count_for_who_reads_features(store: Store) -> None:
    asked = texts(120, 4)
    store.decides(asked, 1000.0, text=False)
    assert not drawn(store).enough and drawn(store).decided == 0
    found = drawn(store, hidden=True)
    assert found.decided == 120 and found.queries
    by_hash = {fingerprint(query).hex(): query for query in asked}
    for query in found.queries:
        assert isinstance(query, HashedQuery)
        read = extract(by_hash[query], 2**18)
        assert query.features.buckets.tolist() == read.buckets.tolist()
    assert found.held == {bytes.fromhex(query) for query in found.queries}


def test_they_come_in_the_order_in_which_they_were_asked(store: Store) -> None:
    asked = texts(200, 5)
    store.decides(asked[100:], 2000.0)
    store.decides(asked[:100], 1000.0)
    places = [asked.index(query) for query in drawn(store).queries]
    assert places == sorted(places) and len(places) > 30


@pytest.mark.parametrize("least", [100, 300])
def test_the_newest_day_counts_and_more_where_it_has_few(
    store: Store, monkeypatch: pytest.MonkeyPatch, least: int
) -> None:
    monkeypatch.setattr(traffic, "LEAST", least)
    store.decides(texts(200, 6), 1000.0)
    store.decides(texts(150, 7), 1000.0 + 2 * DAY)
    assert drawn(store).decided == max(150, least)


def test_a_clock_that_was_wrong_for_a_moment_hides_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traffic, "LEAST", 150)
    store.decides(texts(200, 6), time.time() - 1000)
    store.decides(texts(1, 7), time.time() + 9999 * DAY)
    assert drawn(store).decided == 201


def test_more_than_a_day_counts_where_many_are_equal(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long one waits, a day has no more."""
    monkeypatch.setattr(traffic, "LEAST", 150)
    for day in range(12):
        tried_again = [query for query in texts(50, day) for _ in range(3)]
        store.decides(tried_again, 1000.0 + day * DAY)
    found = drawn(store)
    assert found.enough and 2 * NEEDED * 3 <= found.decided < 1800
    assert found.effective >= NEEDED


def test_too_few_decisions_are_none(store: Store) -> None:
    store.decides(texts(int(NEEDED / LARGEST) - 1, 8), 1000.0)
    found = drawn(store)
    assert (found.enough, found.queries, found.held) == (False, [], frozenset())
    store.decides(texts(1, 9), 2000.0)
    assert drawn(store).enough


def test_what_is_asked_very_often_is_in_it_and_is_learned_from(store: Store) -> None:
    often = "good morning"
    for start in (1000.0, 5000.0, 9000.0, 13_000.0):
        store.decides([often] * 25, start)
        store.decides(texts(50, int(start)), start)
    found = drawn(store)
    assert found.queries.count(often) == pytest.approx(100 * 1.25 * NEEDED / 300, abs=15)
    assert fingerprint(often) not in found.held
    assert found.effective == pytest.approx(len(found.queries))


def test_the_same_few_queries_for_an_hour_are_not_asked_again_and_again(store: Store) -> None:
    """As a test of the load sends them. They say no more of what is asked than a few do."""
    store.decides(texts(40, 1) * 20, 3600.0)
    found = drawn(store)
    assert not found.enough and found.decided == 800
    assert found.would_do == 2 * NEEDED * 20


def test_equal_queries_at_one_time_take_more_decisions(store: Store) -> None:
    store.decides(["try again"] * 30, 1000.0)
    store.decides(texts(120, 10), 2000.0)
    found = drawn(store)
    assert not found.enough and found.decided == 150
    assert found.would_do == math.ceil(2 * NEEDED * (120 + 30**2) / 150)


def test_what_a_router_has_learned_is_left_out_for_it_but_for_what_is_asked_often(
    store: Store,
) -> None:
    for start in (1000.0, 5000.0, 9000.0, 13_000.0):
        store.decides(["good morning"] * 25, start)
        store.decides(texts(50, int(start)), start)
    found = drawn(store)
    seldom = [query for query in found.queries if query != "good morning"]
    learned = frozenset(map(fingerprint, [seldom[0], "good morning"]))
    rest = found.unknown_to(learned)
    assert rest.queries == [query for query in found.queries if query != seldom[0]]
    assert len(rest.names) == len(rest.often) == len(rest.queries)
