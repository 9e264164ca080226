"""The report of a retraining: what it says first, and how it looks in a real browser."""

from dataclasses import replace
from pathlib import Path

import pytest

from inferencegraph.retraining.page import page
from tests.browser import measured
from tests.transformers_hem.versions.routers import ADDED, promising, router_with
from transformers_hem.retraining.outcome import Outcome
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.told import CHECKED, tell

SCRIPT = "<script>alert(1)</script>"
PROMISE = "61.3% of the queries at the edge, a quality loss against cloud-only of at most 0.05"
TIE = Outcome(
    promoted=False,
    why=f"a tie: the challenger isn't shown to order queries better {SCRIPT}",
    champion=2,
    at="2026-11-29T03:00:05+00:00",
    algorithm="LinearRouter",
    rows={"base": 1000, "explicit": 600, "shadow": 240},
    left_out={"signals have no score": 31},
    learned=1312,
    judged_by=528,
    reserved=264,
    compared={
        **{"rows": 528, "pairs": 310, "significance": 0.015},
        **{"apgr_gain": 0.012, "apgr_low": -0.004, "apgr_high": 0.028},
        **{"cost_gain": -0.031, "cost_low": -0.07, "cost_high": 0.01},
    },
    drift={"index": 0.041, "alarm": 0.2, "drifted": False},
    training={"apgr": 0.71234, "auroc": 0.8},
    seconds={"set": 0.2, "training": 3.1},
    peak_mebibytes=412,
    curves={
        "champion": [(0.0, 0.61), (0.5, 0.74), (1.0, 0.83)],
        "challenger": [(0.0, 0.61), (0.5, 0.76), (1.0, 0.83)],
    },
)
PROMOTED = replace(TIE, promoted=True, version=3, promise=PROMISE, why="better")


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    found = Versions.at(tmp_path / "versions")
    found.promote(router_with(0.3, tmp_path / "one"), ADDED, "", None, how="added")
    found.promote(promising(0.4, 0.05, tmp_path / "two"), ADDED, "better", 1)
    found.roll_back(1, "version 2 loses 0.2 of quality")
    found.roll_back(2, "by hand")
    return found


def test_a_tie_says_first_that_the_old_one_stays_and_why(versions: Versions) -> None:
    said = page(TIE, versions)
    assert "<h1>Not promoted: version 2 stays</h1>" in said
    assert "Nothing is promised of it." in said
    assert SCRIPT not in said and "a tie: the challenger isn&#39;t shown" in said
    assert "+0.0120 (-0.0040 to +0.0280)" in said and ">0.015<" in said
    assert "-3.1% (-7.0% to +1.0%)" in said
    assert 'users&#39; feedback</td><td class="number">600' in said
    assert "0.041, an alarm above 0.200: they are as they were" in said


def test_a_promotion_says_what_is_promised(versions: Versions) -> None:
    said = page(PROMOTED, versions)
    assert "<h1>Version 3 is in force</h1>" in said
    assert f"It promises:</strong> {PROMISE}." in said
    assert 'class="verdict promoted"' in said


def test_versions_and_rollbacks_are_listed(versions: Versions) -> None:
    said = page(TIE, versions)
    assert '<td>2 <span class="now">in force</span></td>' in said
    assert said.index("back to 2") < said.index("back to 1") < said.index("2 promoted")
    assert "version 2 loses 0.2 of quality" in said


def test_what_the_last_check_has_found_stands_beside_the_promise(versions: Versions) -> None:
    assert "by the last check" not in page(TIE, versions)
    tell(versions.folder, CHECKED, {"sentence": "version 2 loses 0.021 of quality"})
    assert "by the last check:</strong> version 2 loses 0.021 of quality." in page(TIE, versions)


def test_too_little_is_told_without_tables_of_what_was_not_done(versions: Versions) -> None:
    why = "too little yet: 12 rows of feedback are too few to learn from; 100 are needed"
    few = Outcome(False, why, 2, "too little", rows={"explicit": 12}, left_out={"no text": 3})
    said = page(few, versions)
    assert "<h1>Too little yet: version 2 stays</h1>" in said and why in said
    assert 'feedback</td><td class="number">12' in said and "left out: no text" in said
    assert not [part for part in ("challenger", "Training", "promised of it") if part in said]


def test_a_router_that_nobody_could_compare_has_a_report_too(versions: Versions) -> None:
    first = Outcome(False, "few", None, learned=3, compared={"rows": 3, "pairs": 1})
    assert "3, 1</td>" in page(first, versions)


@pytest.mark.system
@pytest.mark.parametrize("width", [360, 500, 1200])
def test_it_fits_the_screen(versions: Versions, tmp_path: Path, width: int) -> None:
    path = tmp_path / "report.html"
    path.write_text(page(PROMOTED, versions), encoding="utf-8")
    script = "document.documentElement.scrollWidth - window.innerWidth"
    assert measured(path, width, script, tmp_path) <= 0
