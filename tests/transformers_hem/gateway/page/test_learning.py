"""What the page is told of the promise, of versions, and of what comes back from use."""

from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge

from tests.transformers_hem.retraining.queries import Store
from tests.transformers_hem.versions.routers import ADDED, checked, promising, router_with
from transformers_hem.gateway.page.counters import feedback
from transformers_hem.gateway.page.learning import Learning
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.settings import HEMSettings, build_decider
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.told import CHECKED, RETRAINED, tell


@pytest.fixture
def versions(tmp_path: Path) -> Versions:
    """The first one promises nothing, the second one at most 0.25."""
    found = Versions.at(tmp_path / "versions")
    found.promote(router_with(0.3, tmp_path / "one"), ADDED, "by hand", None, how="added")
    found.promote(promising(0.4, 0.25, tmp_path / "two"), ADDED, "better", 1)
    return found


def in_force(versions: Versions) -> Decider:
    return build_decider(HEMSettings(router=str(versions.folder)))


async def test_a_router_without_a_promise_and_without_versions_says_so() -> None:
    about = await Learning(keeps=False).about(build_decider(HEMSettings(router="embedded:linear")))
    nothing = dict.fromkeys(("promise", "fixed", "strategy", "version", "feedback"))
    assert about == nothing


async def test_who_has_no_threshold_says_so() -> None:
    about = await Learning(keeps=False).about(build_decider(HEMSettings(algorithm="EdgeOnly")))
    assert about["fixed"] == "edge"
    designed = HEMSettings(MINING_MODE="self-design", strategy="speculative")
    assert (await Learning(keeps=False).about(build_decider(designed)))["strategy"] == "speculative"


async def test_a_threshold_that_was_set_by_hand_promises_nothing(versions: Versions) -> None:
    decider = build_decider(HEMSettings(router=str(versions.folder), threshold=0.5))
    assert (await Learning(keeps=False).about(decider))["promise"] is None


async def test_promise_and_versions_are_told_before_anything_is_checked(
    versions: Versions,
) -> None:
    about = await Learning(keeps=False).about(in_force(versions))
    assert about["promise"]["target"] == "max_quality_loss" and about["promise"]["limit"] == 0.25
    told = about["version"]
    assert told["number"] == 2 and told["retrained"] is None and told["checked"] is None
    assert [(each["to"], each["how"], each["why"]) for each in told["switches"]] == [
        (2, "promoted", "better"),
        (1, "added", "by hand"),
    ]


async def test_a_check_and_a_rollback_are_told(versions: Versions, tmp_path: Path) -> None:
    store = Store(tmp_path / "feedback.db")
    checked(versions, store, lost=40)
    told = (await Learning(keeps=False).about(in_force(versions)))["version"]["checked"]
    assert (told["version"], told["kept"], told["rows"]) == (2, True, 400)
    assert told["low"] < told["live"] < told["high"] < 1
    versions.promote(promising(0.5, 0.25, tmp_path / "three"), ADDED, "bad", 2)
    checked(versions, store, lost=400)
    store.close()
    told = (await Learning(keeps=False).about(in_force(versions)))["version"]
    assert told["number"] == 2
    assert (told["checked"]["version"], told["checked"]["rolled_back_to"]) == (3, 2)
    assert (told["switches"][0]["how"], told["switches"][0]["to"]) == ("rolled back", 2)


async def test_files_are_read_again_after_two_seconds_and_not_before(versions: Versions) -> None:
    now = 100.0
    learning, decider = Learning(keeps=False, clock=lambda: now), in_force(versions)
    await learning.about(decider)
    tell(versions.folder, RETRAINED, {"at": "2026-11-29T03:00:00+00:00", "why": "a tie"})
    assert (await learning.about(decider))["version"]["retrained"] is None
    now += 2
    assert (await learning.about(decider))["version"]["retrained"]["why"] == "a tie"


async def test_damaged_files_are_as_if_nothing_had_been_told(versions: Versions) -> None:
    decider = in_force(versions)
    (versions.folder / "current.json").write_text("{")
    (versions.folder / CHECKED).write_text("[]")
    told = (await Learning(keeps=False).about(decider))["version"]
    assert told == {"number": 2, "switches": [], "retrained": None, "checked": None}


def test_feedback_is_counted_by_what_became_of_it() -> None:
    registry = CollectorRegistry()
    said = Counter("hem_feedback_total", "", ["source", "state"], registry=registry)
    for state, count in (("new", 5), ("replaces", 2), ("duplicate", 9)):
        said.labels("user", state).inc(count)
    shadow = Counter("hem_feedback_shadow_total", "", ["outcome"], registry=registry)
    shadow.labels("scored").inc(3)
    refused = Counter("hem_feedback_refused_total", "", ["reason"], registry=registry)
    refused.labels("invalid").inc()
    refused.labels("conflict").inc()
    up = Gauge("hem_feedback_up", "", registry=registry)
    told = feedback(registry)
    assert (told["said"], told["shadow"]) == ({"user": 7}, {"scored": 3})
    assert (told["refused"], told["unknown"], told["signals"]) == (2, 0, {})
    assert not told["up"]
    up.set(1)
    assert feedback(registry)["up"]
