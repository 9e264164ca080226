"""The ServingRuntimes that ship, their examples, and other accelerators' names for a GPU."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.check.containers import containers
from inferencegraph.read.documents import read
from inferencegraph.read.kustomize import load
from inferencegraph.check.validate import validate
from predictors.cache import CacheSettings
from predictors.engines import ENGINES
from predictors.serving.settings import PredictorSettings
from tests.inferencegraph.build.crds import FILES, violations

RUNTIMES = Path(__file__).resolve().parents[3] / "manifests/runtimes"
FOLDERS = [".", "amd", "ascend", "cambricon", "examples"]
ACCELERATORS = {
    "amd": "amd.com/gpu",
    "ascend": "huawei.com/Ascend910",
    "cambricon": "cambricon.com/mlu",
}


def by_kind(manifests: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {m["metadata"]["name"]: m for m in manifests if m["kind"] == kind}


@pytest.mark.parametrize("folder", FOLDERS)
def test_kserves_crds_take_them(folder: str, shared: Path) -> None:
    for manifest in load(RUNTIMES / folder):
        if manifest["kind"] in FILES:
            assert violations(shared / "crds", manifest) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_our_own_checks_find_nothing(folder: str) -> None:
    assert validate(load(RUNTIMES / folder), complete=True) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_kubectl_makes_the_same_of_them(folder: str) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed: nothing to compare with")
    command = [kubectl, "kustomize", str(RUNTIMES / folder)]
    built = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def key(manifest: dict[str, Any]) -> tuple[str, str]:
        return manifest["kind"], manifest["metadata"]["name"]

    assert sorted(load(RUNTIMES / folder), key=key) == sorted(yaml.safe_load_all(built), key=key)


def test_there_is_one_for_every_engine() -> None:
    assert {*by_kind(load(RUNTIMES), "ServingRuntime")} >= {
        "huggingface",
        "llama-cpp",
        "lmdeploy",
        "ollama",
        "predictor",
        "sglang",
        "triton",
        "vllm",
    }


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_image_comes_from_the_one_config_map(folder: str) -> None:
    manifests = load(RUNTIMES / folder)
    images = by_kind(manifests, "ConfigMap")["inference-engine-config"]["data"]
    used = set()
    for name, runtime in by_kind(manifests, "ServingRuntime").items():
        key = "vllm" if name == "vllm-multi-node" else name
        spec = runtime["spec"]
        found = {c["image"] for c in [*containers(spec), *containers(spec.get("workerSpec", {}))]}
        assert found == {images[key]}
        used.add(key)
    assert used == set(images)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The tree as a user has it, with a folder of his own beside it."""
    shutil.copytree(RUNTIMES, tmp_path / "runtimes")
    mine = tmp_path / "runtimes/mine"
    mine.mkdir()
    for file in RUNTIMES.glob("examples/*.yaml"):
        shutil.copy(file, mine)
    return mine


@pytest.mark.parametrize(("folder", "resource"), ACCELERATORS.items())
def test_another_accelerator_is_one_component(
    folder: str, resource: str, site: Path, shared: Path
) -> None:
    files = sorted(file.name for file in site.glob("*.yaml") if file.name != "kustomization.yaml")
    kustomization = {
        "resources": ["../base", *files],
        "components": [f"../accelerators/{folder}", "../engine-images"],
    }
    (site / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    manifests = load(site)
    assert "nvidia.com" not in yaml.safe_dump_all(manifests)
    services = by_kind(manifests, "InferenceService")
    four = services["qwen-large"]["spec"]["predictor"]
    for part in (four["model"], four["workerSpec"]["containers"][0]):
        assert part["resources"]["limits"][resource] == "4"
        assert part["resources"]["requests"][resource] == "4"
    assert validate(manifests, complete=True) == []
    for manifest in manifests:
        if manifest["kind"] in FILES:
            assert violations(shared / "crds", manifest) == []


def test_the_examples_show_every_way_to_spread_a_model_and_to_bring_it() -> None:
    services = by_kind(load(RUNTIMES / "examples"), "InferenceService").values()
    predictors = [service["spec"]["predictor"] for service in services]
    models = [predictor["model"] for predictor in predictors]
    limits = [model["resources"]["limits"] for model in models]
    assert {entry.get("nvidia.com/gpu", "0") for entry in limits} >= {"0", "1", "4"}
    assert any(predictor.get("minReplicas", 1) > 1 for predictor in predictors)
    assert any("workerSpec" in predictor for predictor in predictors)
    schemes = {str(model.get("storageUri", "none")).partition("://")[0] for model in models}
    assert schemes == {"hf", "pvc", "s3", "none"}
    assert {model["runtime"] for model in models} >= {
        "huggingface",
        "llama-cpp",
        "lmdeploy",
        "ollama",
        "predictor",
        "sglang",
        "triton",
        "vllm",
        "vllm-multi-node",
    }


def _own() -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Services of our own runtime: name, options and environment, as KServe puts them together."""
    manifests = load(RUNTIMES / "examples")
    (runtime,) = containers(by_kind(manifests, "ServingRuntime")["predictor"]["spec"])
    for name, service in by_kind(manifests, "InferenceService").items():
        model = service["spec"]["predictor"]["model"]
        if model["runtime"] == "predictor":
            words = [*runtime["args"], *model["args"]]
            entries = [*runtime["env"], *model.get("env", [])]
            yield name, words, {entry["name"]: entry["value"] for entry in entries}


def test_every_setting_of_our_runtime_is_one_that_the_predictor_reads() -> None:
    checked = 0
    for _, words, environment in _own():
        options = dict(word.removeprefix("--").split("=", 1) for word in words)
        settings = (PredictorSettings, CacheSettings, ENGINES.load(options["engine"]).Settings)
        fields = {field for kind in settings for field in kind.model_fields}
        assert set(options) <= fields
        inherited = {"PREDICTOR_MODEL_DIR"}
        names = {f"PREDICTOR_{field.upper()}" for field in fields}
        assert set(environment) - inherited <= names
        checked += 1
    assert checked == 3


def test_the_uplinks_call_services_that_exist() -> None:
    services = by_kind(load(RUNTIMES / "examples"), "InferenceService")
    for document in read(RUNTIMES / "examples/site-of-any-engine.yaml"):
        args = document.content["spec"]["predictor"]["model"]["args"]
        options = dict(word.removeprefix("--").split("=", 1) for word in args)
        upstream = options["upstream_model"]
        assert options["url"] == f"http://{upstream}-predictor/v1"
        assert upstream in services
