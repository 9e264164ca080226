"""What a server tells of the version that it serves from."""

from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from tests.transformers_hem.versions.routers import ADDED, router_with
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
            "rows": {"base": 900, "shadow": 40},
        },
    )
    return versions.folder


def test_version_and_what_was_learned_from_are_metrics(folder: Path) -> None:
    SERVED.set(build_decider(HEMSettings(router=str(folder))))
    assert REGISTRY.get_sample_value("hem_router_version") == 1
    assert REGISTRY.get_sample_value("hem_retrain_rows", {"kind": "shadow"}) == 40
    assert REGISTRY.get_sample_value("hem_retrain_promoted") == 0
    assert REGISTRY.get_sample_value("hem_live_quality_loss") is None
    tell(folder, CHECKED, {"promised": 0.05, "live": 0.07, "kept": False})
    assert REGISTRY.get_sample_value("hem_promised_quality_loss") == 0.05
    assert REGISTRY.get_sample_value("hem_live_quality_loss") == 0.07
    assert REGISTRY.get_sample_value("hem_promise_kept") == 0
    SERVED.set(build_decider(HEMSettings(algorithm="EdgeOnly")))
    assert REGISTRY.get_sample_value("hem_router_version") is None


def test_the_page_tells_version_and_last_retraining(folder: Path) -> None:
    about = about_threshold(build_decider(HEMSettings(router=str(folder))))
    assert about["version"]["number"] == 1
    assert about["version"]["retrained"]["why"] == "a tie"
    assert about["version"]["checked"]["at"] is None
    assert about["run"].startswith(f"hem retrain --router {folder} ")


def test_what_was_told_may_be_damaged(folder: Path) -> None:
    (folder / RETRAINED).write_text("{")
    SERVED.set(build_decider(HEMSettings(router=str(folder))))
    assert REGISTRY.get_sample_value("hem_router_version") == 1
    assert REGISTRY.get_sample_value("hem_retrain_promoted") is None
