"""Whom to believe, of clients whose honesty is known."""

from dataclasses import replace

import numpy as np
import pytest

from transformers_hem.lifelong.challenge import Round, prepared
from transformers_hem.lifelong.observations import Observation, Observations, Propensity
from transformers_hem.lifelong.trust import FEWEST, SHARE, believed, capped, trusted

HONEST, LIARS, SAYS = 16, 4, 40
CHANCES = {"easy": (0.9, 0.95), "hard": (0.25, 0.9)}  # that the edge, and the cloud, is right


def said(lie: str | None, seed: int = 0) -> Observations:
    rng = np.random.default_rng(seed)
    rows = [row for i in range(200) if (row := base(i, rng))]
    for client in range(HONEST + LIARS):
        rows += [report(client, lie if client >= HONEST else None, i, rng) for i in range(SAYS)]
    return Observations.of(rows)


def base(i: int, rng: np.random.Generator) -> Observation:
    kind = "easy" if i % 2 else "hard"
    edge, cloud = (float(rng.random() < chance) for chance in CHANCES[kind])
    return Observation(f"{kind} question {i}", edge, cloud, "base")


def report(client: int, lie: str | None, i: int, rng: np.random.Generator) -> Observation:
    kind = "easy" if rng.random() < 0.5 else "hard"
    side = int(rng.random() < 0.5)
    right = float(rng.random() < CHANCES[kind][side])
    lies = {"opposite": 1 - right, "lots": float(rng.random() < 0.5), "edge bad": float(side)}
    outcome = right if lie is None else lies[lie]
    sides = (outcome, None) if side == 0 else (None, outcome)
    return Observation(
        f"{kind} question of {client} {i}", *sides, "explicit",
        Propensity(0.5), client=f"{client:02}",
    )  # fmt: skip


def belief(seen: Observations) -> np.ndarray:
    weights = trusted(seen)
    return np.array([weights[seen.clients == i].mean() for i in range(len(seen.names))])


@pytest.mark.parametrize("seed", range(3))
def test_honest_clients_are_believed(seed: int) -> None:
    found = belief(said(None, seed))
    assert found.mean() > 0.97 and (found > 0.5).all()


@pytest.mark.parametrize("lie", ["opposite", "lots", "edge bad"])
def test_liars_lose_their_weight_and_honest_clients_keep_theirs(lie: str) -> None:
    found = belief(said(lie))
    assert found[HONEST:].mean() < 0.3
    assert found[:HONEST].mean() > 0.9


def test_what_nobody_said_counts_as_before() -> None:
    seen = said("opposite")
    assert (trusted(seen)[seen.clients < 0] == 1).all()


def test_who_shouts_loudest_is_heard_as_far_as_the_cap() -> None:
    rows = [Observation(f"b{i}", 1.0, 1.0, "base") for i in range(300)]
    rows += [Observation(f"l{i}", 0.0, None, "explicit", client="loud") for i in range(500)]
    rows += [Observation(f"q{i}", 1.0, None, "explicit", client="quiet") for i in range(3)]
    seen = Observations.of(rows)
    weights = capped(seen)
    loud, quiet = (weights[seen.clients == seen.names.index(n)] for n in ("loud", "quiet"))
    assert loud.sum() == pytest.approx(SHARE * 803)
    assert (quiet == 1).all() and (weights[:300] == 1).all()


def test_a_few_rows_are_never_capped() -> None:
    rows = [Observation(f"q{i}", 1.0, None, "explicit", client="only") for i in range(5)]
    assert capped(Observations.of(rows)).sum() == FEWEST


def test_belief_falls_with_the_square_and_then_to_nothing() -> None:
    found = believed(np.array([-3.0, 0.0, 2.5, 3.0, 4.0])).tolist()
    assert found == pytest.approx([1, 1, 1, (2.5 / 3) ** 2, 0])


def test_reserved_pairs_have_no_say_in_whom_one_believes() -> None:
    """Or a challenger would know of the rows that choose its threshold."""
    seen = said("opposite")
    reserved, used = np.arange(100), np.arange(200, len(seen))
    turned = seen.outcomes.copy()
    turned[reserved] = 1 - turned[reserved]
    weights = [
        prepared(each, used, Round(), reserved).weights.tolist()
        for each in (seen, replace(seen, outcomes=turned))
    ]
    assert weights[0] == weights[1]
    assert weights[0][:100] == [1.0] * 100
