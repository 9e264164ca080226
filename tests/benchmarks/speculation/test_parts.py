"""Parts of the benchmarks that would tell a wrong figure if they were wrong."""

import pytest

from predictors.contract.speculation import PassCost
from tests.benchmarks.speculation.cost import Step, fitted, served, tokens_a_round
from tests.benchmarks.speculation.predicted import Beside, OneCaller
from tests.benchmarks.speculation.replay import Replay

ANSWERS = {(7, number): tuple(range(10, 110)) for number in range(50)}
COST = PassCost(fixed=0.004, row=0.0005, token=0.001)


def wrong(replay: Replay) -> list[tuple[int, int, int]]:
    """What is said, what would be right, and the second choice, of each wrong place."""
    return [
        (place.token, right, place.other)
        for prompt, answer in ANSWERS.items()
        for place, right in zip(replay.places(prompt, 0, 100), answer, strict=True)
        if place.token != right
    ]


def test_a_replay_is_wrong_as_often_as_it_should_and_always_alike() -> None:
    share = len(wrong(Replay(ANSWERS, 0.7, 396))) / 5000
    assert share == pytest.approx(0.3, abs=0.03)
    assert wrong(Replay(ANSWERS, 0.7, 396)) == wrong(Replay(ANSWERS, 0.7, 396))
    assert wrong(Replay(ANSWERS, 1.0, 396)) == []


def test_second_choices_of_a_replay_are_right_as_often_as_they_should() -> None:
    places = wrong(Replay(ANSWERS, 0.5, 396, second=0.4))
    share = sum(other == right for _, right, other in places) / len(places)
    assert share == pytest.approx(0.4, abs=0.04)
    assert all(other != said for said, _, other in places)


def test_a_fit_finds_the_costs_that_steps_were_made_of() -> None:
    steps = [
        Step(rows, tokens, COST.seconds(rows, rows * tokens))
        for rows in (1, 4, 16)
        for tokens in (1, 2, 5, 9)
    ]
    fit = fitted(steps)
    assert fit.cost.model_dump() == pytest.approx(COST.model_dump())
    assert fit.largest < 1e-6


def test_drafts_are_worth_what_their_passes_cost() -> None:
    """By hand: 5 tokens looked at and 3.36 taken cost 9.5 ms, one costs 5.5 ms."""
    assert tokens_a_round(0.8, 4) == pytest.approx(3.3616)
    drafted = served(COST, rows=1, drafted=4, acceptance=0.8, prompt=0, answer=64)
    alone = served(COST, rows=1, drafted=0, acceptance=1.0, prompt=0, answer=64)
    assert drafted / alone == pytest.approx(3.3616 / 0.0095 * 0.0055)


def row(way: str, rate: float, chance: float, length: int, round_trip: int) -> dict[str, object]:
    return {
        "way": way,
        "answers": 5,
        "tokens": 400,
        "seconds": 400 / rate,
        "chance": chance,
        "length": length,
        "round_trip": round_trip,
    }


def test_what_processors_do_beside_the_models_is_told_by_the_rows_without_a_link() -> None:
    """Rows with one are left to be predicted."""
    beside = Beside(token=0.0009, round=0.003, step=0.0005)
    costs = {"check": COST, "decode": 0.002, "step": 0.001, "answer": 80.0, "prompt": 20.0}
    real, bare = OneCaller(**costs, beside=beside), OneCaller(**costs)
    rows = [row("cloud-only", real.cloud_only(0.0), 0.5, 0, 0)]
    rows += [row("naive", real.naive(0.0, a, k), a, k, 0) for a, k in ((0.5, 1), (0.9, 8))]
    rows += [row("naive", 1.0, 0.5, 3, 50), row("always", 1.0, 0.5, 0, 0)]
    told = bare.fitted(rows)
    assert told.naive(0.05, 0.7, 4) == pytest.approx(real.naive(0.05, 0.7, 4))
    assert told.cloud_only(0.05) == pytest.approx(real.cloud_only(0.05))
    assert bare.cloud_only(0.05) > 1.2 * told.cloud_only(0.05)
