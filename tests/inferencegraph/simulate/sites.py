"""Small scenarios, and what queueing theory says of them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from inferencegraph.simulate.running import Run, simulate
from inferencegraph.simulate.scenario import Cloud, Model, Scenario, Site
from inferencegraph.simulate.times import Constant
from predictors.upstream.settings import Limits

UNLIMITED = Limits(timeout=1e9, max_concurrency=10**9, max_queue=10**9, breaker_failures=0)
AT_ONCE = Model(10**6, Constant(0.0))
RUNS = 20
# Of a Student's t with RUNS - 1 degrees of freedom: an honest simulation is outside once in 1,000.
CONFIDENCE = 0.999


def scenario(
    rate: float,
    *,
    hard: float = 0.0,
    edge: Model = AT_ONCE,
    cloud: Model = AT_ONCE,
    sites: int = 1,
    seconds: float = 1500.0,
    warm_up: float = 200.0,
    replicas: int = 1,
    **site: Any,
) -> Scenario:
    one = Site("", rate, hard, edge, **{"uplink": UNLIMITED, "step_seconds": 1e9, **site})
    return Scenario(
        tuple(replace(one, name=f"site-{number}") for number in range(sites)),
        Cloud(cloud, replicas),
        seconds,
        warm_up,
    )


def runs(scenario: Scenario) -> list[Run]:
    return [simulate(replace(scenario, seed=seed)) for seed in range(RUNS)]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean of independent runs, and half the width of its confidence interval."""
    half = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values)
    return float(np.mean(values)), float(half)


def agrees(values: Sequence[float], theory: float, narrow: float = 0.15) -> None:
    """The mean of independent runs is what theory says, as far as they can tell; and they can:
    their interval is narrower than that share of it."""
    mean, half = interval(values)
    assert half < narrow * theory, f"{mean:.4g} ± {half:.2g} tells too little of {theory:.4g}"
    assert abs(mean - theory) <= half, f"{mean:.4g} ± {half:.2g}, and not {theory:.4g}"


def erlang_b(load: float, places: int) -> float:
    """Share of calls that find all places taken, where nobody waits (A. K. Erlang 1917)."""
    terms = [load**k / math.factorial(k) for k in range(places + 1)]
    return terms[-1] / sum(terms)


def erlang_c_wait(rate: float, mean: float, places: int) -> float:
    """Mean seconds of waiting in M/M/c, by Erlang C."""
    load = rate * mean
    blocked = erlang_b(load, places)
    waits = blocked / (1 - load / places * (1 - blocked))
    return waits * mean / (places - load)


def pollaczek_khinchine_wait(rate: float, mean: float, variation: float) -> float:
    """Mean seconds of waiting in M/G/1."""
    busy = rate * mean
    return busy * mean * (1 + variation**2) / (2 * (1 - busy))


def gives_up(rate: float, mean: float, patience: float) -> float:
    """Share of calls of M/M/1 that find no place within `patience` seconds (D. Y. Barrer 1957), by
    the density of the work that a call finds: as without patience below it, and falling at the rate
    of service above."""
    serve = 1 / mean
    late = rate / serve * math.exp(-(serve - rate) * patience)
    below = rate / (serve - rate) * (1 - math.exp(-(serve - rate) * patience))
    return late / (1 + below + late)
