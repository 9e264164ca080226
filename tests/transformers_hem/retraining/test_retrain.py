"""A challenger takes the champion's place where it is better, and nothing else changes."""

import random
import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from tests.transformers_hem.retraining.queries import (
    EASY,
    Query,
    Store,
    queries,
    write_rows,
)
from tests.transformers_hem.tiny_models import write_bert
from transformers_hem.algorithms.base import Route
from transformers_hem.calibration.any_time import MaxQualityLossAnyTime
from transformers_hem.calibration.targets import EdgeRatio
from transformers_hem.lifelong.observations import Observation, Observations
from transformers_hem.lifelong.scorer import Scorer
from transformers_hem.lifelong.windows import RESERVED
from transformers_hem.reload.files import digest
from transformers_hem.retraining.challenger import of_pairs, recalibrate
from transformers_hem.retraining.live import Live
from transformers_hem.retraining.running import retrain
from transformers_hem.retraining.wanted import LIMITS, Wanted, limit_of
from transformers_hem.retraining.watching import Check, check
from transformers_hem.routers.scoring import open_router
from transformers_hem.routers.training import train
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.locks import RETRAIN, SWITCH, LockedError, held
from transformers_hem.versions.record import Origin
from transformers_hem.versions.told import CHECKED, RETRAINED, told

ADDED = Origin(how="added")


@pytest.fixture
def wanted(versions: Versions, tmp_path: Path) -> Wanted:
    base = write_rows(tmp_path / "base.jsonl", queries(1200, 2))
    return Wanted(folder=versions.folder, base=(base,))


def test_a_better_challenger_is_promoted_with_its_promise(
    versions: Versions, wanted: Wanted
) -> None:
    found = retrain(wanted)
    assert (found.promoted, found.champion, found.version) == (True, 1, 2)
    assert found.result == "promoted" and versions.current == 2
    version = versions.read(2)
    assert "at most 0.05" in str(version.promise) and "at all times" in str(version.promise)
    assert version.origin.how == "retrained"
    assert version.origin.training["rows"] == {"base": 1200}
    assert version.origin.compared["apgr_gain"] > 0.05
    assert told(versions.folder, RETRAINED)["promoted"] is True


def test_what_is_asked_often_counts_as_often_in_a_promise(start: Path, tmp_path: Path) -> None:
    router = shutil.copytree(start, tmp_path / "router")
    asked = [("tell me of the weather", 1.0)] * 300 + [("tell me of the theorem", 0.0)] * 100
    rows = Observations.of([Observation(query, edge, 1.0, "base") for query, edge in asked])
    scorer = Scorer(open_router(str(router)))
    sample, target = of_pairs(scorer, rows), MaxQualityLossAnyTime(0.9)
    assert recalibrate(str(router), scorer, sample, sample, target, 0.9).rows == 400


def test_who_is_no_better_stays_out(versions: Versions, wanted: Wanted, tmp_path: Path) -> None:
    retrain(wanted)
    fewer = write_rows(tmp_path / "fewer.jsonl", queries(400, 3))
    found = retrain(replace(wanted, base=(fewer,)))
    assert not found.promoted and versions.current == 2
    assert found.result == "no better" and found.compared["apgr_low"] <= 0
    assert "a tie" in found.why or "worse" in found.why
    assert versions.numbers() == [1, 2]


def test_a_champion_whose_queries_have_drifted_gets_another_threshold(
    versions: Versions, wanted: Wanted, tmp_path: Path
) -> None:
    assert retrain(wanted).version == 2
    topics = [row for row in queries(3000, 3) if not any(word in row[0] for word in EASY[:4])]
    rows = write_rows(tmp_path / "drifted.jsonl", topics)
    found = retrain(replace(wanted, base=(rows,)))
    assert found.drift["drifted"] and found.promoted
    assert found.recalibrated and found.result == "recalibrated", found.why
    old, new = (open_router(str(versions.directory(number))) for number in (2, 3))
    assert old.default_threshold != new.default_threshold
    assert "queries have drifted" in found.why
    assert versions.read(3).origin.how == "retrained"


def test_shares_of_the_sides_that_differ_are_no_drift(
    versions: Versions, wanted: Wanted, store: Store
) -> None:
    """Of the edge's answers a tenth become pairs, of the cloud's all; queries are as they were."""
    assert retrain(wanted).version == 2
    router = open_router(str(versions.directory(2)))
    threshold = router.default_threshold
    assert threshold is not None
    rows, chance = queries(3000, 21), random.Random(0)
    scores = Scorer(router).scores([query for query, *_ in rows])
    sides: dict[Route, list[Query]] = {"edge": [], "cloud": []}
    for row, score in zip(rows, scores, strict=True):
        sides["cloud" if score > threshold else "edge"].append(row)
    drawn = [row for row in sides["edge"] if chance.random() < 0.1]
    store.shadows(drawn, time.time() - 4000, route="edge", share=0.1)
    store.shadows(sides["cloud"], time.time() - 4000, route="cloud", share=1.0)
    found = retrain(Wanted(versions.folder, store=store.path))
    assert found.drift["index"] is not None and not found.drift["drifted"], found.drift


def test_a_dry_run_switches_nothing(versions: Versions, wanted: Wanted) -> None:
    found = retrain(replace(wanted, dry_run=True))
    assert found.result == "tried" and found.compared["apgr_gain"] > 0.05
    assert versions.numbers() == [1]
    assert told(versions.folder, RETRAINED) == {}


def test_the_first_version_is_compared_with_nothing(tmp_path: Path) -> None:
    base = write_rows(tmp_path / "base.jsonl", queries(1200, 2))
    found = retrain(Wanted(folder=tmp_path / "new", base=(base,), target=EdgeRatio(0.5)))
    assert (found.promoted, found.champion, found.version) == (True, None, 1), found.why


def test_a_promise_that_the_rows_do_not_support_leaves_the_old_one(
    versions: Versions, tmp_path: Path
) -> None:
    few = write_rows(tmp_path / "few.jsonl", queries(700, 4))
    found = retrain(Wanted(versions.folder, (few,), target=MaxQualityLossAnyTime(0.002)))
    assert not found.promoted and versions.current == 1
    assert found.result == "no promise" and "and can't promise enough" in found.why


def test_too_few_rows_are_no_fault_and_are_told(versions: Versions, tmp_path: Path) -> None:
    few = write_rows(tmp_path / "few.jsonl", queries(50, 4))
    found = retrain(Wanted(folder=versions.folder, base=(few,)))
    assert (found.result, found.promoted, found.champion) == ("too little", False, 1)
    assert found.why.startswith("too little yet: 50 rows of feedback are too few to learn from")
    assert told(versions.folder, RETRAINED)["result"] == "too little"
    assert versions.numbers() == [1]


def test_a_site_where_nothing_has_come_back_yet_waits(versions: Versions, store: Store) -> None:
    found = retrain(Wanted(folder=versions.folder, store=store.path))
    assert (found.result, found.rows) == ("too little", {})
    assert "0 rows of feedback are too few" in found.why


def test_feedback_of_one_kind_alone_is_too_little(versions: Versions, store: Store) -> None:
    """As on a first day on which all answers were good."""
    store.shadows([(query, 1, 1) for query, *_ in queries(150, 6)], time.time() - 1000)
    found = retrain(Wanted(folder=versions.folder, store=store.path))
    assert found.result == "too little" and "one class only" in found.why


def test_what_users_said_of_one_side_alone_is_too_little(versions: Versions, store: Store) -> None:
    store.shadows(queries(150, 6), time.time() - 1000, source="user")
    found = retrain(Wanted(folder=versions.folder, store=store.path))
    assert (found.result, found.rows) == ("too little", {"explicit": 150})
    assert "of none of 150 rows both sides are known" in found.why
    assert "HEM_FEEDBACK_SHADOW" in found.why


@pytest.mark.parametrize("query", ["a", "b"])
def test_feedback_of_one_query_is_too_little(versions: Versions, store: Store, query: str) -> None:
    """Whether that one is held out or not."""
    store.shadows([(query, 1, 1)] * 300, time.time() - 1000)
    found = retrain(Wanted(versions.folder, store=store.path))
    assert found.result == "too little" and found.learned == 0


def test_rows_that_are_too_few_to_judge_by_are_too_little(versions: Versions, store: Store) -> None:
    now = time.time()
    store.shadows(queries(150, 6), now - 1000, source="user")
    store.shadows(queries(15, 7), now - 800)
    found = retrain(Wanted(folder=versions.folder, store=store.path))
    assert found.result == "too little" and found.learned > 0
    assert "15 of them on both sides, decide nothing" in found.why


def test_who_was_replaced_meanwhile_is_not_replaced_again(
    versions: Versions, wanted: Wanted, start: Path
) -> None:
    def meanwhile(doing: str) -> None:
        if doing == "switching":
            versions.promote(str(start), ADDED, "", 1, how="added")

    found = retrain(wanted, meanwhile)
    assert (found.result, found.promoted, versions.current) == ("overtaken", False, 2)
    assert "had version 1 in force, and now has 2: nothing was switched" in found.why


def test_who_meets_another_switch_ends_as_locked(
    versions: Versions, wanted: Wanted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers_hem.versions.folder.SWITCH_SECONDS", 0.1)
    with ExitStack() as stack:

        def meanwhile(doing: str) -> None:
            if doing == "switching":
                stack.enter_context(held(versions.folder, SWITCH, "a rollback"))

        with pytest.raises(LockedError, match="is busy: a rollback"):
            retrain(wanted, meanwhile)
    assert versions.numbers() == [1] and told(versions.folder, RETRAINED) == {}


def test_what_the_champion_learned_does_not_judge(versions: Versions, tmp_path: Path) -> None:
    known = queries(80, 1)  # the queries that it was trained on
    rows = write_rows(tmp_path / "rows.jsonl", [*queries(150, 5), *known])
    assert retrain(Wanted(versions.folder, (rows,))).judged_by == 150


def test_one_retrains_at_a_time(versions: Versions, wanted: Wanted) -> None:
    with (
        held(versions.folder, RETRAIN, "a retraining"),
        pytest.raises(LockedError, match="is busy: a retraining, by process"),
    ):
        retrain(wanted)
    assert versions.numbers() == [1]


@pytest.mark.parametrize("text", [True, False])
def test_shadow_pairs_of_a_store_are_learned_from_with_and_without_texts(
    versions: Versions, wanted: Wanted, store: Store, text: bool
) -> None:
    now = time.time()
    store.shadows(queries(1300, 6), now - 2000, text=text)
    store.shadows(queries(200, 7), now - 1000, text=text, source="user")
    found = retrain(replace(wanted, base=(), store=store.path))
    assert found.promoted, found.why
    assert found.rows == {"shadow": 1300, "explicit": 200}
    assert found.judged_by == 1500
    assert found.reserved == pytest.approx(RESERVED * 1300, abs=80)


def test_feedback_whose_decision_is_gone_is_counted(
    versions: Versions, wanted: Wanted, store: Store
) -> None:
    """Retention has deleted the decisions of the first 40 before users said something of them."""
    now = time.time()
    store.shadows(queries(140, 6), now - 1000, source="user")
    store.forget_decisions(now - 960)
    found = retrain(replace(wanted, store=store.path, dry_run=True))
    assert found.rows == {"base": 1200, "explicit": 100}
    ((why, count),) = found.left_out.items()
    assert count == 40 and why.startswith("its decision is not in the store: deleted by age")


def test_a_subsample_is_stated(versions: Versions, wanted: Wanted) -> None:
    found = retrain(replace(wanted, limit=900, dry_run=True))
    assert found.rows == {"base": 1200} and found.learned + found.reserved == 900
    assert found.subsample.startswith("a subsample: 900 of 1200 rows, the newest half and a draw")
    whole = retrain(replace(wanted, limit=1200, dry_run=True))
    assert whole.subsample == "" and whole.limit == 1200


def test_only_an_encoder_has_a_subsample_by_itself(wanted: Wanted) -> None:
    assert limit_of(wanted, "LinearRouter") is None
    assert limit_of(wanted, "KernelRouter") == LIMITS["KernelRouter"]
    assert limit_of(replace(wanted, limit=50_000), "KernelRouter") == 50_000


def test_a_kernel_router_is_retrained_on_its_subsample(
    versions: Versions, wanted: Wanted, tmp_path: Path
) -> None:
    write_bert(tmp_path / "bert")
    parameters = {"encoder": str(tmp_path / "bert"), "max_tokens": "32"}
    found = retrain(
        replace(wanted, algorithm="KernelRouter", parameters=parameters, limit=400, dry_run=True)
    )
    assert found.algorithm == "KernelRouter" and found.learned + found.reserved == 400
    assert set(found.curves) == {"champion", "challenger"}


def test_an_encoder_needs_texts(versions: Versions, wanted: Wanted, store: Store) -> None:
    store.shadows(queries(30, 6), time.time() - 100, text=False)
    with pytest.raises(ConfigurationError, match="30: no text of the query was kept"):
        retrain(replace(wanted, base=(), store=store.path, algorithm="KNNRouter"))


def test_a_champion_that_reads_texts_is_compared_by_texts_alone(
    versions: Versions, wanted: Wanted, store: Store, tmp_path: Path
) -> None:
    """Where none are kept a LinearRouter could learn, but such a champion scores no hashes."""
    write_bert(tmp_path / "bert")
    few = write_rows(tmp_path / "few.jsonl", queries(60, 1))
    parameters = {"encoder": str(tmp_path / "bert"), "max_tokens": "32"}
    train(few, "KernelRouter", tmp_path / "kernel", parameters=parameters)
    versions.promote(str(tmp_path / "kernel"), ADDED, "", 1, how="added")
    linear = replace(wanted, base=(), store=store.path, algorithm="LinearRouter", dry_run=True)
    store.shadows(queries(250, 6), time.time() - 2000, text=False)
    with pytest.raises(ConfigurationError, match="where the version in force is one, too"):
        retrain(linear)
    store.shadows(queries(250, 7), time.time() - 1000, text=True)
    found = retrain(linear)
    assert found.judged_by == 250 and found.rows == {"shadow": 250}
    assert found.left_out == {"no text of the query was kept": 250}


def test_base_rows_do_not_hide_that_texts_are_not_kept(
    versions: Versions, wanted: Wanted, store: Store
) -> None:
    store.shadows(queries(30, 6), time.time() - 100, text=False)
    with pytest.raises(ConfigurationError, match=r"30: no text .*HEM_FEEDBACK_TEXT=on"):
        retrain(replace(wanted, store=store.path, algorithm="KernelRouter"))


def test_a_broken_promise_goes_back_by_itself(
    versions: Versions, wanted: Wanted, store: Store
) -> None:
    retrain(wanted)
    version = digest(versions.directory(2)) or ""
    found = check(versions, store.path, dry_run=False)
    assert found.kept and "too few shadow pairs" in found.sentence()
    # Now all that the edge keeps is hard.
    lost = [(f"{query} again", 0, 1) for query, *_ in queries(200, 8)]
    store.shadows(lost, time.time() + 1, version=version)
    found = check(versions, store.path, dry_run=True)
    assert not found.kept and versions.current == 2
    found = check(versions, store.path, dry_run=False)
    assert found.rolled_back_to == 1 and versions.current == 1
    assert "version 1 is in force again" in told(versions.folder, CHECKED)["sentence"]
    pointer = versions.pointer
    assert pointer is not None and "loses" in pointer.switches[-1].why


def test_a_promise_that_holds_is_left_alone(
    versions: Versions, wanted: Wanted, store: Store
) -> None:
    retrain(wanted)
    kept = [(query, 1, 1) for query, *_ in queries(300, 9)]
    store.shadows(kept, time.time() + 1, version=digest(versions.directory(2)) or "")
    found = check(versions, store.path, dry_run=False)
    assert found.kept and found.live is not None and found.live.pairs == 300
    assert versions.current == 2


@pytest.mark.parametrize(
    ("loss", "low", "told"),
    [
        (0.056, -0.045, ": it may still be chance"),
        (0.02, -0.045, ""),
        (0.12, 0.07, ": hardly chance any more, and not proven yet; more shadow pairs will tell"),
    ],
)
def test_a_loss_that_may_be_chance_is_told_so(loss: float, low: float, told: str) -> None:
    live = Live(38, 90, 0.5, loss, low=low, high=0.15, broken=False)
    shown = Check(2, 0.05, live).sentence()
    assert shown.endswith(f"38 shadow pairs), and promises 0.05 at most{told}")


def test_a_store_that_is_not_there_is_told(versions: Versions, wanted: Wanted) -> None:
    with pytest.raises(ConfigurationError, match="is not there"):
        retrain(replace(wanted, store=str(versions.folder / "nothing.db")))


def test_a_store_that_is_gone_at_the_calibration_is_no_lack_of_pairs(
    versions: Versions, wanted: Wanted, store: Store
) -> None:
    store.shadows(queries(500, 6), time.time() - 1000)

    def meanwhile(doing: str) -> None:
        if doing.startswith("calibrating"):
            Path(store.path).rename(f"{store.path}.gone")

    with pytest.raises(ConfigurationError, match="is not there"):
        retrain(replace(wanted, base=(), store=store.path), meanwhile)
    assert versions.numbers() == [1]


def test_a_promise_that_nothing_can_keep_is_told(versions: Versions, wanted: Wanted) -> None:
    with pytest.raises(ConfigurationError, match="must be above 0 and below 1"):
        retrain(replace(wanted, target=MaxQualityLossAnyTime(2.0)))
