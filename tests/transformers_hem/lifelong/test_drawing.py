"""Which decisions an edge share is promised of, and how often such a promise is kept."""

import contextlib
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import binomtest

from transformers_hem.calibration.no_promise import NoPromise
from transformers_hem.calibration.targets import EdgeRatio, threshold_near
from transformers_hem.lifelong.drawing import Names, draw, effective_rows, name_of, share_of
from transformers_hem.lifelong.observations import Observation, Observations, Propensity
from transformers_hem.lifelong.windows import windows
from transformers_hem.routers.fingerprints import fingerprint
from transformers_hem.routers.linear.features import HashedQuery, extract

CONFIDENCE = 0.9
NEEDED = EdgeRatio(0.6).scores_needed(CONFIDENCE) or 0


def names_of(queries: NDArray[np.int64], seed: int = 0) -> Names:
    """Of queries that are told by numbers."""
    named = {number: name_of(f"{seed} {number}") for number in np.unique(queries).tolist()}
    return np.array([named[number] for number in queries.tolist()], dtype=np.uint64)


@pytest.mark.parametrize(
    ("decisions", "drawn"),
    [(100_000, 1000), (10_000, 1000), (5000, 500), (2000, 1.25 * NEEDED), (600, 300), (10, 5)],
)
def test_as_few_are_drawn_as_a_promise_takes(decisions: int, drawn: float) -> None:
    assert decisions * share_of(decisions, NEEDED) == pytest.approx(drawn)


def test_a_confidence_that_takes_more_rows_gets_them() -> None:
    needed = EdgeRatio(0.5).scores_needed(0.9999) or 0
    assert needed > 1600
    assert 100_000 * share_of(100_000, needed) == pytest.approx(1.25 * needed)


def test_equal_queries_are_drawn_together_and_the_same_ones_each_time() -> None:
    queries = np.random.default_rng(1).permutation(np.repeat(np.arange(2500), 2))
    names = names_of(queries)
    found = draw(names, NEEDED)
    assert found.alike == 2 and not found.often.any()
    assert len(found.rows) == pytest.approx(2 * 1.25 * NEEDED, abs=120)
    assert set(np.unique(queries[found.rows], return_counts=True)[1]) == {2}
    assert (np.diff(found.rows) > 0).all()
    assert draw(names, NEEDED).rows.tolist() == found.rows.tolist()
    # What was drawn of a window is drawn of the next one, where that has no more decisions.
    later = draw(names_of(queries[1000:]), NEEDED)
    assert set(queries[found.rows[found.rows >= 1000]]) <= set(queries[later.rows + 1000])


def test_what_is_asked_very_often_is_drawn_by_its_decisions() -> None:
    """Its share of the sample is its share of the traffic, whatever the lot."""
    shares = []
    for seed in range(20):
        queries = np.concatenate([np.zeros(1500, np.int64), np.arange(1, 3501)])
        queries = np.random.default_rng(seed).permutation(queries)
        found = draw(names_of(queries, seed), NEEDED)
        assert (found.often == (queries[found.rows] == 0)).all()
        shares.append(found.often.mean())
    assert min(shares) > 0.25 and max(shares) < 0.35
    assert np.mean(shares) == pytest.approx(0.3, abs=0.015)


def test_what_was_asked_often_in_a_short_time_counts_as_one_query() -> None:
    queries = np.concatenate([np.arange(1, 2001), np.zeros(20, np.int64), np.arange(2001, 4001)])
    found = draw(names_of(queries), NEEDED)
    assert not found.often.any()
    assert found.alike == pytest.approx((4000 + 20**2) / 4020)


def test_equal_queries_that_were_drawn_together_say_less() -> None:
    names, seldom = names_of(np.repeat(np.arange(100), 4)), np.zeros(400, dtype=bool)
    assert effective_rows(names, seldom) == pytest.approx(100)
    assert effective_rows(names_of(np.arange(400)), seldom) == pytest.approx(400)
    assert effective_rows(names, ~seldom) == pytest.approx(400)
    scores = np.repeat(np.arange(100) / 100, 4)
    assert threshold_near(scores, 0.6, CONFIDENCE)[0] > 0
    with pytest.raises(NoPromise, match="400 rows that count as 100 can't promise"):
        threshold_near(scores, 0.6, CONFIDENCE, 100)


Drawn = Callable[[np.random.Generator, int], NDArray[np.int64]]
COMMON = "some are asked by everybody"
TRAFFIC: dict[str, Drawn] = {
    "each once": lambda rng, count: np.arange(count),
    "in bursts": lambda rng, count: np.repeat(
        np.arange(count), np.where(rng.random(count) < 0.1, 8, 1)
    )[:count],
    COMMON: lambda rng, count: rng.zipf(1.1, count) % 10**9,
}


@pytest.mark.parametrize("kind", TRAFFIC)
def test_a_promised_interval_has_the_live_share_in_it_as_often_as_it_says(kind: str) -> None:
    """The window is drawn of what was asked; live is what else is asked of the same kind."""
    kept = promised = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        queries, live = TRAFFIC[kind](rng, 4000), TRAFFIC[kind](rng, 20_000)
        live = live if kind == COMMON else live + 10**6  # other queries
        numbers, place = np.unique(np.concatenate([queries, live]), return_inverse=True)
        scores = rng.beta(2, 3, len(numbers))[place]
        asked, coming = scores[: len(queries)], scores[len(queries) :]
        names = names_of(queries, seed)
        found = draw(names, NEEDED)
        effective = effective_rows(names[found.rows], found.often)
        with contextlib.suppress(NoPromise):
            threshold, low, high = threshold_near(asked[found.rows], 0.6, CONFIDENCE, effective)
            promised += 1
            kept += bool(low <= (coming <= threshold).mean() <= high)
    assert promised > 150
    assert binomtest(kept, promised, CONFIDENCE, alternative="less").pvalue > 0.05, (kept, promised)


def said(query: str, at: int) -> Observation:
    """Each third is a pair."""
    if at % 3 == 0:
        return Observation(query, 1.0, 1.0, "shadow", Propensity(1.0, 0.1, 0.1), at=float(at))
    return Observation(query, 1.0, None, "explicit", Propensity(1.0, 0.1, 0.1), float(at), "ada")


def test_what_is_held_out_is_not_learned_from_and_nothing_else_is_held_out() -> None:
    base = [Observation(f"base {i}", 1.0, 1.0, "base") for i in range(50)]
    rows = [said(f"query {i % 150}", i) for i in range(300)]
    seen = Observations.of([*base, *rows])
    held = frozenset(fingerprint(f"query {i}") for i in range(20)) | {fingerprint("BASE  7")}
    parts = windows(seen, np.arange(50, 350), -np.inf, share=0.0, held=held)
    learned = {seen.queries[i] for i in parts.train}
    assert not {fingerprint(query) for query in learned} & held
    assert len(parts.train) == len(seen) - 2 * 20 - 1
    assert {seen.queries[i] for i in parts.reserved} == {f"query {i}" for i in range(0, 20, 3)}
    assert len(parts.judging) == 300  # what was held out, too: the challenger itself scores it


def test_a_query_is_held_out_with_and_without_its_text() -> None:
    hashed = HashedQuery(fingerprint("query 1").hex(), extract("query 1", 2**18))
    seen = Observations.of([said("Query  1", 0), said(hashed, 1), said("query 2", 2)])
    held = frozenset({fingerprint("query 1")})
    assert windows(seen, np.arange(3), -np.inf, share=0.0, held=held).train.tolist() == [2]
    # Whoever sends records may name them as they like.
    named = HashedQuery("a name", extract("query 3", 2**18))
    assert fingerprint(named) == fingerprint("a name")
