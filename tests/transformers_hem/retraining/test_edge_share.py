"""An edge share is promised of what is decided, without any outcome."""

import math
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.transformers_hem.retraining.queries import HARD, Query, Store, queries, write_rows
from transformers_hem.calibration.targets import TOLERANCE, EdgeRatio
from transformers_hem.lifelong.scorer import Scorer
from transformers_hem.retraining import traffic
from transformers_hem.retraining.outcome import Outcome
from transformers_hem.retraining.running import retrain
from transformers_hem.retraining.traffic import read_traffic
from transformers_hem.retraining.wanted import Wanted
from transformers_hem.routers.fingerprints import fingerprint, read_fingerprints
from transformers_hem.routers.scoring import open_router
from transformers_hem.versions.folder import Versions

AIM = EdgeRatio(0.6)
PAIRS, SAID, SILENT = 160, 500, 1500


def used(store: Store, text: bool = True, silent: int = SILENT) -> None:
    """Of a few queries both sides are known, of more what served; of most nobody says anything."""
    now = time.time() - 10_000
    for number, route in enumerate(("edge", "cloud")):
        store.shadows(queries(PAIRS // 2, 11 + number), now, route=route, text=text)
        said = queries(SAID // 2, 21 + number)
        store.shadows(said, now + 1000, route=route, text=text, source="user")
    store.decides((query for query, *_ in queries(silent, 31)), now + 2000, text=text)


def share_at_edge(versions: Versions, number: int, rows: list[Query]) -> float:
    router = open_router(str(versions.directory(number)))
    scores = Scorer(router).scores([query for query, *_ in rows])
    return float((scores <= (router.default_threshold or 0)).mean())


def is_kept(found: Outcome, live: float) -> bool:
    """As far as one draw tells: chance would be as far off once in a thousand."""
    share = float((found.promise or "").partition("%")[0]) / 100
    assert share == pytest.approx(AIM.limit, abs=TOLERANCE)
    return abs(share - live) <= 3.3 * math.sqrt(share * (1 - share) / found.reserved)


def held_out(store: Store, hidden: bool) -> frozenset[bytes]:
    return read_traffic(store.path, AIM.scores_needed(0.9) or 0, hidden=hidden).held


@pytest.mark.parametrize("text", [True, False])
def test_the_threshold_stands_on_queries_that_nobody_has_said_anything_of(
    versions: Versions, store: Store, text: bool
) -> None:
    used(store, text)
    found = retrain(Wanted(versions.folder, store=store.path, target=AIM))
    assert found.promoted, found.why
    assert (found.calibrated_by, found.decided) == ("queries", PAIRS + SAID + SILENT)
    assert found.reserved == pytest.approx(1.25 * (AIM.scores_needed(0.9) or 0), abs=60)
    assert f"from {found.reserved} rows" in str(found.promise)
    assert is_kept(found, share_at_edge(versions, 2, queries(6000, 41)))
    # Nearly all of what came back is learned from, and what was drawn is not.
    assert found.learned + found.held_out == PAIRS + SAID
    assert found.held_out == pytest.approx((PAIRS + SAID) * found.reserved / found.decided, abs=40)
    learned = read_fingerprints(str(versions.directory(2))) or frozenset()
    held = held_out(store, hidden=not text)
    assert held and not learned & held
    rows = {fingerprint(query) for seed in (11, 12) for query, *_ in queries(PAIRS // 2, seed)}
    assert rows - held <= learned
    facts = versions.read(2).origin.training
    assert (facts["calibrated_by"], facts["held_out"]) == ("queries", found.held_out)
    # The few pairs among it draw no quality.
    calibrated = open_router(str(versions.directory(2))).calibrated
    assert found.curves == {} and calibrated is not None and calibrated.curve is not None
    assert calibrated.curve.quality is None and calibrated.curve.rows == found.reserved
    assert calibrated.scores is not None and calibrated.scores.rows == found.reserved


def test_many_held_out_pairs_draw_quality_and_promise_nothing(
    versions: Versions, store: Store
) -> None:
    """They are half of the decisions here, as these are few."""
    for number, route in enumerate(("edge", "cloud")):
        store.shadows(queries(350, 11 + number), time.time() - 1000, route=route)
    found = retrain(Wanted(versions.folder, store=store.path, target=AIM))
    assert found.promoted, found.why
    assert found.held_out == found.reserved == pytest.approx(350, abs=50)
    assert set(found.curves) == {"champion", "challenger"}
    calibrated = open_router(str(versions.directory(2))).calibrated
    assert calibrated is not None and calibrated.curve is not None
    assert calibrated.curve.quality is not None
    assert f"from {found.reserved} rows" in str(found.promise)


@pytest.mark.parametrize("pairs", [120, 300])
def test_labelled_rows_stand_in_for_decisions_that_are_too_few(
    versions: Versions, store: Store, tmp_path: Path, pairs: int
) -> None:
    """Also where pairs would be enough to judge by."""
    store.shadows(queries(pairs, 11), time.time() - 1000)
    base = write_rows(tmp_path / "base.jsonl", queries(1200, 2))
    found = retrain(Wanted(versions.folder, (base,), store.path, target=AIM))
    assert found.promoted, found.why
    assert found.calibrated_by == "pairs" and "from 6" in str(found.promise)


def refused(found: Outcome) -> str:
    assert (found.result, found.promoted) == ("no promise", False), found.why
    return found.why


def test_too_few_decisions_and_no_labelled_rows_say_what_is_missing(
    versions: Versions, store: Store
) -> None:
    store.shadows(queries(250, 11), time.time() - 1000)
    store.shadows(queries(150, 12), time.time() - 1000, route="cloud")
    why = refused(retrain(Wanted(versions.folder, store=store.path, target=AIM)))
    assert "the store has 400 decisions whose queries can be scored, whatever was said" in why
    assert "and 572 would do. Wait for more, or give labelled rows by --data" in why
    assert "pairs" not in why and "shadow" not in why


def test_too_few_labelled_rows_alone_name_the_store(versions: Versions, tmp_path: Path) -> None:
    few = write_rows(tmp_path / "few.jsonl", queries(500, 4))
    why = refused(retrain(Wanted(versions.folder, (few,), target=AIM)))
    assert "rows can't promise an edge share of 0.6" in why
    assert "name a store with 572 decisions by --store, whatever was said of them" in why


def test_a_version_whose_queries_have_drifted_gets_a_threshold_for_todays(
    versions: Versions, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has said anything of today's queries, and there is too little to learn from."""
    used(store, silent=3000)
    wanted = Wanted(versions.folder, store=store.path, target=AIM)
    assert retrain(wanted).version == 2
    now = time.time() + 100_000  # a day later

    def today(seed: int) -> list[Query]:
        return [row for row in queries(2500, seed) if any(word in row[0] for word in HARD)]

    monkeypatch.setattr(traffic, "LEAST", 1000)
    monkeypatch.setattr(traffic, "now", lambda: now)
    asked = today(51)
    store.decides((query for query, *_ in asked), now)
    before = share_at_edge(versions, 2, today(61))
    found = retrain(replace(wanted, target=None))
    assert found.drift["drifted"] and found.result == "recalibrated", found.why
    assert found.why.startswith("too little yet: ") and found.learned == 0
    assert found.decided == len(asked)
    assert before < 0.4 and is_kept(found, share_at_edge(versions, 3, today(61)))
    assert np.isclose(read_limit(versions, 3), AIM.limit)


def read_limit(versions: Versions, number: int) -> float:
    calibrated = open_router(str(versions.directory(number))).calibrated
    assert calibrated is not None and calibrated.calibration is not None
    return calibrated.calibration.limit
