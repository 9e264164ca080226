"""Arrivals of an open loop, whose turn it is, and options that contradict each other."""

import itertools

import numpy as np
import pytest
from scipy import stats

from inferencegraph.evaluate.load.plan import Load, load, poisson, turns
from predictors.errors import ConfigurationError


def gaps(rate: float, requests: int, seed: int) -> np.ndarray:
    times = list(poisson(rate, None, requests, np.random.default_rng(seed)))
    return np.diff([0.0, *times])


@pytest.mark.parametrize("seed", range(3))
def test_gaps_are_exponential_with_the_mean_of_the_rate(seed: int) -> None:
    found = gaps(50, 5000, seed)
    assert stats.kstest(found, "expon", args=(0, 1 / 50)).pvalue > 0.001
    assert np.corrcoef(found[1:], found[:-1])[0, 1] == pytest.approx(0, abs=0.05)


def test_counts_in_seconds_are_poisson() -> None:
    """Their variance is their mean; of evenly spaced arrivals it would be 0."""
    times = list(poisson(20, 400, None, np.random.default_rng(1)))
    counts = np.bincount(np.array(times).astype(int), minlength=400)
    assert counts.mean() == pytest.approx(20, rel=0.05)
    assert counts.var() == pytest.approx(20, rel=0.3)
    assert max(times) < 400


@pytest.mark.parametrize("requests", [1, 1024, 1025, 3000])
def test_as_many_arrivals_as_were_asked_for(requests: int) -> None:
    assert len(gaps(1000, requests, 0)) == requests


def plan(**fields: object) -> Load:
    given: dict[str, object] = {"loop": "open", "levels": (10.0, 50.0), "seconds": 8.0}
    return Load(
        **{**given, "requests": None, "warmup": 1.0, "blocks": 4, "seed": 7, **fields}  # type: ignore[arg-type]
    )


def test_arrivals_are_the_same_for_each_target_and_others_for_each_block_and_seed() -> None:
    made = plan()
    assert list(made.arrivals(10, 0)) == list(made.arrivals(10, 0))
    others = [made.arrivals(10, 1), made.arrivals(50, 0), plan(seed=8).arrivals(10, 0)]
    firsts = {next(iter(each)) for each in (made.arrivals(10, 0), *others)}
    assert len(firsts) == 4


def test_blocks_share_seconds_and_requests() -> None:
    assert plan().block_seconds() == 2.0
    parts = [plan(seconds=None, requests=10).block_requests(block) for block in range(4)]
    assert parts == [3, 3, 2, 2]


@pytest.mark.parametrize(
    ("names", "blocks", "order"),
    [("A", 1, "A"), ("AB", 4, "ABBAABBA"), ("ABC", 2, "ABCCBA")],
)
def test_turns_go_there_and_back(names: str, blocks: int, order: str) -> None:
    made = list(turns(names, blocks))
    assert "".join(name for _, name in made) == order
    assert [number for number, _ in made] == sorted(
        itertools.chain.from_iterable(itertools.repeat(b, len(names)) for b in range(blocks))
    )


def of(**given: object) -> Load:
    defaults = {"rates": None, "concurrency": None, "seconds": None, "requests": None}
    others = {"warmup": 0.0, "blocks": 10, "targets": 1, "seed": 0}
    return load(**{**defaults, **others, **given})  # type: ignore[arg-type]


def test_without_options_there_are_eight_callers_for_ten_seconds() -> None:
    made = of()
    assert (made.loop, made.levels, made.seconds, made.blocks) == ("closed", (8.0,), 10.0, 1)


def test_a_sweep_asks_each_level_once() -> None:
    assert of(concurrency="1, 8,64,8").levels == (1.0, 8.0, 64.0)
    assert of(rates="0.5,20", targets=2).blocks == 10


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"rates": "0"}, "--rate 0: must be more than 0"),
        ({"rates": "-3"}, "--rate -3: must be more than 0"),
        ({"rates": "inf"}, "--rate inf: must be more than 0, at most 100000"),
        ({"rates": "nan"}, "--rate nan: must be more than 0"),
        ({"rates": "fast"}, "--rate 'fast' is not a number"),
        ({"rates": "1,,2"}, "--rate '' is not a number"),
        ({"concurrency": "1.5"}, "--concurrency 1.5: callers are whole numbers"),
        ({"concurrency": "20000"}, "at most 10000"),
        ({"rates": "1", "concurrency": "1"}, "--rate and --concurrency: give one"),
        ({"seconds": 1.0, "requests": 5}, "--duration and --requests: give one"),
        ({"seconds": 0.0}, "--duration 0: give seconds, more than 0"),
        ({"seconds": float("inf")}, "--duration inf"),
        ({"requests": 5, "targets": 2}, "--requests 5: 10 blocks need one each"),
    ],
)
def test_options_that_say_nothing_sensible(given: dict[str, object], says: str) -> None:
    with pytest.raises(ConfigurationError, match=r"^--") as error:
        of(**given)
    assert says in str(error.value)
