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


def comparison(client: int, lie: bool, i: int, rng: np.random.Generator) -> Observation:
    """Of two right or two wrong answers half of the honest ones prefer one, by its style."""
    kind = "easy" if rng.random() < 0.5 else "hard"
    edge, cloud = (float(rng.random() < chance) for chance in CHANCES[kind])
    if edge == cloud:
        edge, cloud = [(0.5, 0.5), (0.5, 0.5), (1.0, 0.0), (0.0, 1.0)][rng.integers(4)]
    sides = (cloud, edge) if lie else (edge, cloud)
    query = f"{kind} question of {client} {i}"
    return Observation(query, *sides, "explicit", Propensity(0.5, 1, 1), client=f"{client:02}")


def belief(seen: Observations) -> np.ndarray:
    weights = trusted(seen)
    return np.array([weights[seen.clients == i].mean() for i in range(len(seen.names))])


def test_honest_clients_are_believed() -> None:
    """Of sixty clients a few count somewhat less, by chance."""
    found = np.concatenate([belief(said(None, seed)) for seed in range(3)])
    assert found.mean() > 0.99 and (found > 0.8).all()


@pytest.mark.parametrize("lie", ["opposite", "lots", "edge bad"])
def test_liars_lose_their_weight_and_honest_clients_keep_theirs(lie: str) -> None:
    found = belief(said(lie))
    assert found[HONEST:].mean() < 0.3
    assert found[:HONEST].mean() > 0.9


def test_who_says_most_does_not_outvote_the_others() -> None:
    """Four liars in twenty send three fifths of all reports."""
    rng = np.random.default_rng(1)
    rows = [base(i, rng) for i in range(50)]
    for client in range(HONEST + LIARS):
        lie, count = ("opposite", 6 * SAYS) if client >= HONEST else (None, SAYS)
        rows += [report(client, lie, i, rng) for i in range(count)]
    found = belief(Observations.of(rows))
    assert (found[HONEST:] == 0).all() and (found[:HONEST] > 0.8).all()


def test_who_was_honest_for_long_and_then_lies_is_believed_up_to_then() -> None:
    rng = np.random.default_rng(2)
    rows = [base(i, rng) for i in range(200)]
    for i in range(120):
        for client in range(HONEST + LIARS):
            lie = "opposite" if client >= HONEST and i >= 90 else None
            rows.append(replace(report(client, lie, i, rng), at=float(i)))
    seen = Observations.of(rows)
    weights = trusted(seen)
    liars = seen.clients >= HONEST
    assert weights[liars & (seen.times < 60)].mean() > 0.8
    assert weights[liars & (seen.times >= 90)].mean() < 0.1
    assert weights[(seen.clients >= 0) & ~liars].mean() > 0.97


def test_comparisons_have_a_level_of_their_own_and_lies_among_them_are_found() -> None:
    """A tie is no half-bad answer, and a preference of style no lie."""
    rng = np.random.default_rng(3)
    rows = [base(i, rng) for i in range(200)]
    for client in range(HONEST + LIARS):
        rows += [comparison(client, client >= HONEST, i, rng) for i in range(SAYS)]
    found = belief(Observations.of(rows))
    assert (found[:HONEST] > 0.9).all()
    assert found[HONEST:].mean() < 0.3


def test_users_may_all_be_kinder_than_the_scorer() -> None:
    """Half of what is wrong is good enough for them, of 2,000 base rows it is not."""
    rng = np.random.default_rng(4)
    rows = [base(i, rng) for i in range(2000)]
    for client in range(HONEST):
        for i in range(SAYS):
            said = report(client, None, i, rng)
            kind = float(rng.random() < 0.5)
            edge, cloud = (
                None if each is None else max(each, kind) for each in (said.edge, said.cloud)
            )
            rows.append(replace(said, edge=edge, cloud=cloud))
    assert belief(Observations.of(rows)).mean() > 0.9


@pytest.mark.parametrize(("lies", "least", "most"), [(0, 1, 1), (1, 0.9, 1), (4, 0, 0.1)])
def test_clients_with_one_report_each_are_looked_at_together(
    lies: int, least: float, most: float
) -> None:
    """Of five of them. That four lie is found, and nobody knows who; that one does is not."""
    rng = np.random.default_rng(5)
    rows = [base(i, rng) for i in range(200)]
    for client in range(400):
        rows.append(report(client, "opposite" if client % 5 < lies else None, 0, rng))
    found = belief(Observations.of(rows))
    assert least <= found.min() == found.max() <= most


@pytest.mark.parametrize(("lie", "least", "most"), [(None, 1, 1), ("opposite", 0, 0)])
def test_who_gives_no_name_is_one_client(lie: str | None, least: float, most: float) -> None:
    rng = np.random.default_rng(6)
    rows = [base(i, rng) for i in range(200)]
    rows += [replace(report(0, lie, i, rng), client="") for i in range(200)]
    weights = trusted(Observations.of(rows))
    assert (weights[:200] == 1).all()
    assert least <= weights[200:].min() and weights[200:].max() <= most


def test_many_base_rows_are_not_all_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers_hem.lifelong.trust.KNOWN", 100)
    assert belief(said("opposite"))[HONEST:].max() == 0


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


def test_a_report_on_both_sides_is_capped_as_two() -> None:
    rows = [Observation(f"b{i}", 1.0, 1.0, "base") for i in range(400)]
    rows += [Observation(f"l{i}", 0.0, 1.0, "explicit", client="loud") for i in range(100)]
    assert capped(Observations.of(rows))[400:].sum() == pytest.approx(SHARE * 500 / 2)


def test_a_few_rows_are_never_capped() -> None:
    rows = [Observation(f"q{i}", 1.0, None, "explicit", client="only") for i in range(5)]
    assert capped(Observations.of(rows)).sum() == FEWEST


def test_belief_falls_with_the_square_and_then_to_nothing() -> None:
    found = believed(np.array([-3.0, 0.0, 2.5, 3.0, 4.0])).tolist()
    assert found == pytest.approx([1, 1, 1, (2.5 / 3) ** 2, 0])


def test_what_is_held_out_has_no_say_in_whom_one_believes() -> None:
    """Or a challenger would know of the rows that choose its threshold."""
    seen = said("opposite")
    used, pairs = np.arange(200, len(seen)), np.arange(100)
    held = np.concatenate([pairs, used[::3]])
    others = np.setdiff1d(np.arange(len(seen)), held)
    turned = seen.outcomes.copy()
    turned[held] = 1 - turned[held]
    weights, turned_weights = (
        prepared(each, used, Round(), held).weights
        for each in (seen, replace(seen, outcomes=turned))
    )
    assert weights[others].tolist() == turned_weights[others].tolist()
    assert weights[pairs].tolist() == [1.0] * len(pairs)
    # What liars say of these queries judges nobody either.
    honest = seen.clients[used[::3]] < HONEST
    assert weights[used[::3]][honest].mean() > 0.9 and weights[used[::3]][~honest].max() < 0.1
