"""Which way a query is answered: by what is measured, and hardly ever by the slower way."""

from itertools import pairwise

import pytest

from predictors.contract import Answer
from predictors.engines.speculative.policy import WARM_UP, Capacity, Latency, Policy, Way


def answer(seconds: float, tokens: int = 50) -> Answer:
    """Its first token takes as long as each other."""
    each = seconds / tokens
    return Answer("x", completion_tokens=tokens, time_to_first_token=each, inter_token_latency=each)


def ways(policy: Policy, seconds: dict[Way, float], count: int) -> list[Way]:
    """Of so many queries that take so long."""
    taken: list[Way] = []
    for _ in range(count):
        way, _ = policy.way()
        policy.took(way, answer(seconds[way]))
        taken.append(way)
    return taken


def test_the_warm_up_tries_both() -> None:
    first = ways(Latency(), {"speculative": 1.0, "cloud": 1.0}, WARM_UP)
    assert first.count("cloud") == 8 and first.count("speculative") == 24


@pytest.mark.parametrize("slower", [1.05, 1.5, 4.0, 20.0])
def test_what_is_slower_costs_less_than_a_twentieth(slower: float) -> None:
    policy = Latency()
    seconds: dict[Way, float] = {"speculative": slower, "cloud": 1.0}
    ways(policy, seconds, WARM_UP)
    later = ways(policy, seconds, 2000)
    assert sum(seconds[way] for way in later) / len(later) < 1.05
    assert "speculative" in later


def test_what_is_faster_is_taken_and_both_are_looked_at_again() -> None:
    policy = Latency()
    ways(policy, {"speculative": 0.5, "cloud": 1.0}, WARM_UP)
    later = ways(policy, {"speculative": 0.5, "cloud": 1.0}, 500)
    assert 0 < later.count("cloud") < 10


def test_a_link_that_becomes_fast_is_noticed() -> None:
    policy = Latency()
    ways(policy, {"speculative": 2.0, "cloud": 1.0}, 200)
    ways(policy, {"speculative": 0.5, "cloud": 1.0}, 2000)
    assert policy.way()[0] == "speculative"


def probes(policy: Policy, seconds: dict[Way, float], count: int) -> list[int]:
    """At which of so many queries drafting is tried again."""
    taken = ways(policy, seconds, count)
    return [at for at, way in enumerate(taken) if way == "speculative"]


def test_what_loses_again_and_again_is_tried_more_and_more_seldom() -> None:
    policy = Latency()
    seconds: dict[Way, float] = {"speculative": 1.2, "cloud": 1.0}
    ways(policy, seconds, WARM_UP)
    at = probes(policy, seconds, 8000)
    gaps = [later - before for before, later in pairwise(at)]
    assert gaps[:5] == [64, 128, 256, 512, 1024] and set(gaps[5:]) == {1024}


def test_a_link_that_becomes_fast_is_noticed_with_the_next_probe_and_drafted_for_soon() -> None:
    policy = Latency()
    slow: dict[Way, float] = {"speculative": 1.2, "cloud": 1.0}
    ways(policy, slow, 4000)
    at = probes(policy, {"speculative": 0.5, "cloud": 1.0}, 1100)
    drafts = next(first for first, later in pairwise(at) if later == first + 1)
    assert at[0] <= 1024 and drafts - at[0] < 40


def test_one_probe_that_won_by_chance_changes_nothing() -> None:
    policy = Latency()
    slow: dict[Way, float] = {"speculative": 1.2, "cloud": 1.0}
    ways(policy, slow, WARM_UP)
    for _ in range(32):
        way, _ = policy.way()
        policy.took(way, answer(0.5 if way == "speculative" else 1.0))
    assert len(probes(policy, slow, 200)) < 6


def test_probes_that_fail_become_as_seldom_as_those_that_lose() -> None:
    policy = Latency()
    ways(policy, {"speculative": 1.2, "cloud": 1.0}, WARM_UP)
    tried = []
    for number in range(8000):
        way, _ = policy.way()
        if way == "speculative":
            tried.append(number)  # and no answer comes of it
        else:
            policy.took(way, answer(1.0))
    assert len(tried) < 14 and tried[-1] - tried[-2] == 1024


def test_of_many_answers_at_once_a_probe_that_won_by_chance_brings_few_more() -> None:
    policy = Latency()
    slow: dict[Way, float] = {"speculative": 2.0, "cloud": 1.0}
    ways(policy, slow, WARM_UP)
    while policy.way()[0] != "speculative":
        policy.took("cloud", answer(1.0))
    policy.took("speculative", answer(0.5))
    under_way = [policy.way()[0] for _ in range(64)]
    assert under_way.count("speculative") <= 2


def test_a_few_answers_that_took_long_change_nothing() -> None:
    policy = Latency()
    ways(policy, {"speculative": 0.8, "cloud": 1.0}, WARM_UP)
    ways(policy, {"speculative": 5.0, "cloud": 1.0}, 3)
    assert policy.way()[0] == "speculative"


def test_what_gains_next_to_nothing_is_left_alone() -> None:
    policy = Latency()
    ways(policy, {"speculative": 0.97, "cloud": 1.0}, WARM_UP)
    assert policy.way()[0] == "cloud"


def test_the_reason_says_how_much_slower_it_would_be() -> None:
    policy = Latency()
    ways(policy, {"speculative": 2.0, "cloud": 1.0}, WARM_UP)
    assert policy.way() == ("cloud", "speculation takes 2.00 times as long")


@pytest.mark.parametrize(
    ("share", "slower", "way"),
    [
        (0.5, 1.2, "speculative"),
        (1.1, 0.5, "cloud"),
        (0.5, 1.6, "cloud"),
        (None, 1.2, "speculative"),
    ],
)
def test_capacity_is_kept_as_long_as_answers_do_not_take_too_long(
    share: float | None, slower: float, way: Way
) -> None:
    policy = Capacity(1.5, lambda: share)
    ways(policy, {"speculative": slower, "cloud": 1.0}, WARM_UP)
    assert policy.way()[0] == way
