"""What a server tells of the version that it serves from."""

from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from tests.transformers_hem.retraining.queries import Store
from tests.transformers_hem.versions.routers import ADDED, checked, promising, router_with
from transformers_hem.gateway.page.curve import about_threshold
from transformers_hem.serving.settings import HEMSettings, build_decider
from transformers_hem.serving.versions import SERVED
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.told import CHECKED, RETRAINED, tell


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    versions = Versions.at(tmp_path / "versions")
    versions.promote(router_with(0.1, tmp_path / "one"), ADDED, "", None, how="added")
    tell(
        versions.folder,
        RETRAINED,
        {
            "at": "2026-11-29T03:00:00+00:00",
            "promoted": False,
            "why": "a tie",
            "result": "no better",
            "rows": {"base": 900, "shadow": 40},
        },
    )
    return versions.folder


def test_version_and_what_was_learned_from_are_metrics(folder: Path) -> None:
    SERVED.set(build_decider(HEMSettings(router=str(folder))))
    assert REGISTRY.get_sample_value("hem_router_version") == 1
    assert REGISTRY.get_sample_value("hem_retrain_rows", {"kind": "shadow"}) == 40
    assert REGISTRY.get_sample_value("hem_retrain_promoted") == 0
    assert REGISTRY.get_sample_value("hem_retrain_result", {"result": "no better"}) == 1
    assert REGISTRY.get_sample_value("hem_live_quality_loss") is None
    assert REGISTRY.get_sample_value("hem_promised_quality_loss") is None
    SERVED.set(build_decider(HEMSettings(algorithm="EdgeOnly")))
    assert REGISTRY.get_sample_value("hem_router_version") is None


def test_what_is_promised_is_told_before_any_check_and_without_versions(tmp_path: Path) -> None:
    router = promising(0.4, 0.25, tmp_path / "router")
    SERVED.set(build_decider(HEMSettings(router=router)))
    assert REGISTRY.get_sample_value("hem_promised_quality_loss") == 0.25
    SERVED.set(build_decider(HEMSettings(router=router, threshold=0.5)))
    assert REGISTRY.get_sample_value("hem_promised_quality_loss") is None


def test_live_quality_is_that_of_the_version_in_force(folder: Path, tmp_path: Path) -> None:
    versions = Versions.at(folder)
    store = Store(tmp_path / "feedback.db")
    for number in (2, 3):
        router = promising(number / 10, 0.25, tmp_path / f"router-{number}")
        versions.promote(router, ADDED, "", number - 1, how="added")
        if number == 2:
            assert checked(versions, store, lost=40).kept
            SERVED.set(build_decider(HEMSettings(router=str(folder))))
            live = REGISTRY.get_sample_value("hem_live_quality_loss")
            low = REGISTRY.get_sample_value("hem_live_quality_loss_low")
            high = REGISTRY.get_sample_value("hem_live_quality_loss_high")
            assert live == pytest.approx(0.1)
            assert low is not None and high is not None and low < live < high
            assert REGISTRY.get_sample_value("hem_live_quality_rows") == 400
            assert REGISTRY.get_sample_value("hem_promise_kept") == 1
    assert checked(versions, store, lost=400).rolled_back_to == 2
    store.close()
    SERVED.set(build_decider(HEMSettings(router=str(folder))))
    assert REGISTRY.get_sample_value("hem_router_version") == 2
    # The check was of version 3, which is gone.
    assert REGISTRY.get_sample_value("hem_promise_kept") == 0
    assert REGISTRY.get_sample_value("hem_promise_checked_version") == 3
    assert REGISTRY.get_sample_value("hem_live_quality_loss") is None
    assert REGISTRY.get_sample_value("hem_promised_quality_loss") == 0.25


def test_a_broken_promise_is_acted_on_also_where_it_can_not_be_told(
    folder: Path, tmp_path: Path
) -> None:
    versions, store = Versions.at(folder), Store(tmp_path / "feedback.db")
    versions.promote(promising(0.2, 0.25, tmp_path / "router"), ADDED, "", 1, how="added")
    (folder / CHECKED).unlink(missing_ok=True)
    (folder / CHECKED).mkdir()  # nothing can be written in its place
    kept = checked(versions, store, lost=40)
    assert kept.kept and "checked.json can't be written" in kept.untold
    broken = checked(versions, store, lost=400)
    assert (broken.rolled_back_to, versions.current) == (1, 1) and broken.untold
    store.close()


def test_the_page_says_how_versions_are_retrained(folder: Path) -> None:
    about = about_threshold(build_decider(HEMSettings(router=str(folder))))
    assert about["run"].startswith(f"hem retrain --router {folder} ")


def test_what_was_told_may_be_damaged(folder: Path) -> None:
    (folder / RETRAINED).write_text("{")
    SERVED.set(build_decider(HEMSettings(router=str(folder))))
    assert REGISTRY.get_sample_value("hem_router_version") == 1
    assert REGISTRY.get_sample_value("hem_retrain_promoted") is None
