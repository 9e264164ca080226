"""The release workflow: every image of the project is in it."""

import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

WORKFLOW = ROOT / ".github/workflows/release.yaml"
# Images that no manifest names: KServe's settings do.
IN_NO_MANIFEST = {"kserve-hem-router"}


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    return yaml.safe_load(WORKFLOW.read_text())["jobs"]["image"]


def test_every_dockerfile_is_built(job: dict[str, Any]) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "*Dockerfile"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    built = [entry["file"] for entry in job["strategy"]["matrix"]["include"]]
    assert sorted(built) == sorted(listed.stdout.split())
    assert all((ROOT / file).is_file() for file in built)


def test_each_image_has_the_name_that_manifests_and_its_dockerfile_say(job: dict[str, Any]) -> None:
    entries = job["strategy"]["matrix"]["include"]
    tagged = yaml.safe_load((ROOT / "manifests/images/kustomization.yaml").read_text())["images"]
    names = {entry["image"] for entry in entries}
    assert names == {image["name"] for image in tagged} | IN_NO_MANIFEST
    for entry in entries:
        assert f"-t {entry['image']}:" in (ROOT / entry["file"]).read_text()


def test_actions_are_pinned_and_images_are_attested(job: dict[str, Any]) -> None:
    used = [step["uses"] for step in job["steps"] if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}", action) for action in used)
    build = job["steps"][-1]["with"]
    assert build["provenance"] == "mode=max"
    assert build["sbom"] is True
    assert build["platforms"] == "linux/amd64,linux/arm64"
