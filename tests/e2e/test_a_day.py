"""A day of a site that learns from use, by the commands that its people have: queries, feedback, a
retraining that is promoted and taken up, better answers, and the end of a bad router.

Everything is real: `hem up` runs the manifests that ship, and the embedded models answer. The
router has learned from two families of questions, and promises something of these. In the morning a
third one comes, arithmetic, of which the small model gets two thirds wrong.
"""

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import pytest

from tests.e2e.a_site_that_learns import (
    MANIFESTS,
    SHADOW,
    USER_HEADER,
    Question,
    Site,
    labelled,
    questions,
    told,
)
from tests.inferencegraph.running_hem import RunningHem, hem

pytestmark = pytest.mark.timeout(600)  # of a machine that has much else to do
FAMILIES = ("conversion", "strings")
NEW = "arithmetic"


@pytest.fixture(scope="module")
def day() -> dict[str, list[Question]]:
    """The test questions, the three families in turn: no question is asked in two parts."""
    of = questions()
    mixed = list(chain.from_iterable(zip(*(of[name] for name in (*FAMILIES, NEW)), strict=True)))
    return {
        "fresh": mixed[:150],
        "morning": mixed[150:195],
        "chats": mixed[195:645],
        "evening": mixed[645:735],
    }


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Version 1 has seen conversions and strings alone."""
    versions, start = tmp_path / "versions", tmp_path / "start"
    train(labelled(tmp_path / "start.jsonl", FAMILIES, slice(400)), start)
    promise(start, labelled(tmp_path / "known.jsonl", FAMILIES, slice(400, 900)))
    told("retrain", "--router", str(versions), "--add", str(start))
    settings = {"HEM_FEEDBACK_SHADOW": SHADOW, "HEM_CLIENT_HEADER": USER_HEADER}
    options = [f"--set=qa-hem.{name}={value}" for name, value in settings.items()]
    arguments = ["-f", str(MANIFESTS), "--router", str(versions), *options]
    kept = {"HEM_FEEDBACK_STORE": str(tmp_path / "feedback.db")}
    with RunningHem(arguments, env=kept) as running:
        yield Site(running, tmp_path)


def train(rows: Path, out: Path) -> None:
    command = ("train", "--data", str(rows), "--algorithm", "LinearRouter", "--out", str(out))
    done = hem(*command, timeout=120)
    assert done.returncode == 0, done.stderr


def promise(router: Path, rows: Path) -> None:
    """That it loses at most 0.05 of quality to the cloud, on questions like those rows."""
    command = ("calibrate", "--router", str(router), "--data", str(rows))
    done = hem(*command, "--max-quality-loss", "0.05", timeout=120)
    assert done.returncode == 0, done.stderr


def test_a_day(site: Site, day: dict[str, list[Question]]) -> None:
    before = site.batch(day["fresh"], "before")
    first = told("ask", "What is 12 + 7?", "--url", site.running.url)
    done = hem("feedback", "send", first["request_id"], "--correct", "--url", site.hem)
    assert done.returncode == 0, done.stderr
    site.feed_back(site.batch(day["morning"], "morning"), "morning")
    site.users_say(site.chats(day["chats"]))

    outcome = site.retrain(*site.store)
    assert (outcome["promoted"], outcome["version"]) == (True, 2), outcome["why"]
    assert outcome["rows"]["shadow"] > 200
    site.wait_for(2)

    after = site.batch(day["fresh"], "after")
    assert after.right > before.right + 0.1, f"before: {before}; after: {after}"
    assert after.cloud < 0.9, "not by asking the cloud alone"

    plant_a_bad_router(site)
    site.wait_for(3)
    planted = site.chats(day["evening"])
    checked = site.retrain(*site.store, "--check", code=1)
    assert checked["rolled_back_to"] == 2, checked["sentence"]
    site.wait_for(2)
    again = site.batch(day["fresh"][:30], "again")
    assert [each.route for each in again.given] == [each.route for each in after.given[:30]]
    print(f"\nbefore: {before}\nafter: {after}\nplanted: {planted}")
    print(outcome["why"], outcome["rows"], outcome["promise"], checked["sentence"], sep="\n")


def plant_a_bad_router(site: Site) -> None:
    """It has learned that the edge is right at every sum, and promises what holds of forged rows
    alone."""
    every, bad = (*FAMILIES, NEW), site.folder / "bad"
    train(labelled(site.folder / "forged.jsonl", every, slice(600), forged=NEW), bad)
    promise(bad, labelled(site.folder / "others.jsonl", every, slice(600, 1200), forged=NEW))
    site.retrain("--add", str(bad))
