"""One round on what the embedded pair made of its questions: a new family has come."""

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from predictors import embedded as pair
from predictors.errors import ConfigurationError
from transformers_hem.evaluation.quality import gap_recovered
from transformers_hem.labels.labels import Labels
from transformers_hem.lifelong.challenge import Challenge, Round, challenge, scored
from transformers_hem.lifelong.observations import Observation, Observations, Propensity
from transformers_hem.lifelong.scorer import Scorer
from transformers_hem.routers.fingerprints import fingerprint
from transformers_hem.routers.linear.features import HashedQuery, extract
from transformers_hem.routers.linear.learner import LinearLearner
from transformers_hem.routers.scoring import open_router

BASE, FEEDBACK, LATER = 250, 500, 1500
SHADOW = 0.2


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    with gzip.open(Path(pair.__file__).parent / "data" / "labels.jsonl.gz") as lines:
        return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def old(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["family"] != "arithmetic"][:BASE]


@pytest.fixture(scope="module")
def coming(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return rows[-FEEDBACK - LATER :]


@pytest.fixture(scope="module")
def champion(old: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("routers") / "champion"
    edge, cloud = (np.array([row[f"{s}_correct"] for row in old], float) for s in ("edge", "cloud"))
    labels = Labels([row["query"] for row in old], edge, cloud, 1.0, "")
    LinearLearner(LinearLearner.Parameters()).train(labels, out, seed=0)
    return out


def base(old: list[dict[str, Any]]) -> list[Observation]:
    return [
        Observation(row["query"], float(row["edge_correct"]), float(row["cloud_correct"]), "base")
        for row in old
    ]


def said(rows: list[dict[str, Any]], at_edge: np.ndarray, liars: float = 0.0) -> list[Observation]:
    """By twenty clients; the last ones say that the edge is bad, whatever it said."""
    rng = np.random.default_rng(0)
    found = []
    for number, row in enumerate(rows):
        client, edge = int(rng.integers(20)), bool(at_edge[number])
        lies = client >= 20 * (1 - liars)
        sides: list[float | None] = [float(row["edge_correct"]), float(row["cloud_correct"])]
        shadow = rng.random() < SHADOW
        if not shadow:
            sides = [0.0, 1.0] if lies else sides
            sides[edge] = None
        found.append(
            Observation(
                row["query"],
                *sides,
                "shadow" if shadow else "explicit",
                Propensity(float(edge), SHADOW, SHADOW),
                at=float(number),
                client="" if shadow else f"{client:02}",
            )
        )
    return found


def challenged(
    champion: Path, start: list[Observation], feedback: list[Observation], out: Path
) -> Challenge:
    seen = Observations.of([*start, *feedback])
    used = np.arange(len(start), len(seen))
    router, plan = Scorer(open_router(str(champion))), Round(reserved=0.0)
    return challenge(seen, used, router, 0.5, "LinearRouter", out, plan)


@pytest.fixture(scope="module")
def feedback(champion: Path, coming: list[dict[str, Any]]) -> list[Observation]:
    return said(coming[:FEEDBACK], at_edge(champion, coming[:FEEDBACK]))


def at_edge(champion: Path, rows: list[dict[str, Any]]) -> np.ndarray:
    scores = scored(Scorer(open_router(str(champion))), [row["query"] for row in rows])
    return scores <= np.median(scores)


def apgr(router: Path, rows: list[dict[str, Any]]) -> float:
    edge, cloud = (
        np.array([row[f"{s}_correct"] for row in rows], float) for s in ("edge", "cloud")
    )
    scorer = Scorer(open_router(str(router)))
    return gap_recovered(scored(scorer, [r["query"] for r in rows]), edge, cloud)


@pytest.fixture(scope="module")
def promoted(
    champion: Path,
    old: list[dict[str, Any]],
    feedback: list[Observation],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Challenge, Path]:
    out = tmp_path_factory.mktemp("routers") / "challenger"
    return challenged(champion, base(old), feedback, out), out


def test_a_challenger_that_knows_the_new_topic_is_promoted(
    champion: Path, promoted: tuple[Challenge, Path], coming: list[dict[str, Any]]
) -> None:
    found, out = promoted
    assert found.verdict.promote, found.verdict
    assert apgr(out, coming[FEEDBACK:]) > apgr(champion, coming[FEEDBACK:]) + 0.08


def test_a_fifth_of_lies_costs_next_to_nothing(
    champion: Path,
    promoted: tuple[Challenge, Path],
    old: list[dict[str, Any]],
    coming: list[dict[str, Any]],
    tmp_path: Path,
) -> None:
    known = coming[:FEEDBACK]
    lies = said(known, at_edge(champion, known), liars=0.2)
    challenged(champion, base(old), lies, tmp_path / "poisoned")
    honest = apgr(promoted[1], coming[FEEDBACK:])
    assert apgr(tmp_path / "poisoned", coming[FEEDBACK:]) >= honest - 0.02


def test_the_challenger_that_was_just_promoted_is_not_beaten_by_the_same_rows(
    promoted: tuple[Challenge, Path],
    old: list[dict[str, Any]],
    feedback: list[Observation],
    tmp_path: Path,
) -> None:
    """All of them are known to it, so that none is left to judge."""
    seen = Observations.of([*base(old), *feedback])
    used, plan = np.arange(BASE, len(seen)), Round(since=float(FEEDBACK), reserved=0.0)
    router = Scorer(open_router(str(promoted[1])))
    again = challenge(seen, used, router, 0.5, "LinearRouter", tmp_path / "again", plan)
    assert not again.verdict.promote and again.verdict.rows == 0


def test_queries_without_their_texts_teach_the_same(
    champion: Path,
    promoted: tuple[Challenge, Path],
    old: list[dict[str, Any]],
    feedback: list[Observation],
    tmp_path: Path,
) -> None:
    hashed = [
        replace(row, query=HashedQuery(fingerprint(row.query).hex(), extract(row.query, 2**18)))
        for row in feedback
    ]
    found = challenged(champion, base(old), hashed, tmp_path / "hashed")
    assert found.metrics == promoted[0].metrics
    seen = Observations.of(hashed)
    with pytest.raises(ConfigurationError, match="500 of 500 queries were kept without"):
        router = Scorer(open_router(str(champion)))
        challenge(seen, np.arange(500), router, 0.5, "KernelRouter", tmp_path / "kernel")
    assert not (tmp_path / "kernel").exists()


def test_too_little_feedback_teaches_nothing(
    champion: Path, old: list[dict[str, Any]], feedback: list[Observation], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError, match="99 rows of feedback are too few"):
        challenged(champion, base(old), feedback[:99], tmp_path / "few")
    assert not (tmp_path / "few").exists()
