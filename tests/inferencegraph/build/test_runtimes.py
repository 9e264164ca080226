"""The ServingRuntimes that ship, their examples, and other accelerators' names for a GPU."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.build.engine_images import IMAGES, OTHER_IMAGES
from inferencegraph.build.runtimes import ACCELERATORS, _main, write
from inferencegraph.check.containers import containers
from inferencegraph.check.validate import validate
from inferencegraph.read.documents import read
from inferencegraph.read.kustomize import load
from predictors.cache import CacheSettings
from predictors.engines import ENGINES
from predictors.errors import ConfigurationError
from predictors.serving.settings import PredictorSettings
from tests.inferencegraph.build.crds import FILES, violations

RUNTIMES = Path(__file__).resolve().parents[3] / "manifests/runtimes"
FOLDERS = [".", *ACCELERATORS, "examples"]


def by_kind(manifests: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {m["metadata"]["name"]: m for m in manifests if m["kind"] == kind}


@pytest.mark.parametrize("folder", FOLDERS)
def test_kserves_crds_take_them(folder: str, shared: Path) -> None:
    for manifest in load(RUNTIMES / folder):
        if manifest["kind"] in FILES:
            assert violations(shared / "crds", manifest) == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_our_own_checks_find_nothing(folder: str) -> None:
    found = validate(load(RUNTIMES / folder), complete=True)
    # Several nodes on KServe 0.20.0: the one note.
    assert [problem.field for problem in found if problem.severity != "note"] == []
    assert {problem.field for problem in found} <= {"spec.predictor.workerSpec"}


@pytest.mark.parametrize("name", ["ascend", "cambricon", "intel"])
def test_an_accelerator_that_kserve_does_not_know_is_named_in_the_runtimes_annotations(
    name: str,
) -> None:
    runtime = by_kind(load(RUNTIMES / name), "ServingRuntime")["vllm-multi-node"]
    listed = runtime["spec"]["annotations"]["serving.kserve.io/gpu-resource-types"]
    assert json.loads(listed) == [ACCELERATORS[name].resource]


@pytest.mark.parametrize("name", ["nvidia", "amd"])
def test_an_accelerator_that_kserve_knows_is_not_named(name: str) -> None:
    for runtime in by_kind(load(RUNTIMES / name), "ServingRuntime").values():
        assert "serving.kserve.io/gpu-resource-types" not in runtime["spec"]["annotations"]


def test_no_shipped_service_is_taken_for_one_of_many_models() -> None:
    checked = 0
    for path in sorted(RUNTIMES.parent.rglob("*.yaml")):
        for document in yaml.safe_load_all(path.read_text()):
            if document.get("kind") == "InferenceService":
                predictor = document["spec"]["predictor"]
                assert "model" not in predictor or predictor["model"].get("storageUri"), path
                checked += 1
    assert checked > 20


@pytest.mark.parametrize("folder", ACCELERATORS)
def test_all_runtimes_ask_for_what_pod_security_restricts_but_the_user(folder: str) -> None:
    for name, runtime in by_kind(load(RUNTIMES / folder), "ServingRuntime").items():
        spec = runtime["spec"]
        for container in [*containers(spec), *containers(spec.get("workerSpec", {}))]:
            context = container["securityContext"]
            assert context["allowPrivilegeEscalation"] is False, name
            assert context["capabilities"] == {"drop": ["ALL"]}, name
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}, name


def test_these_images_alone_may_run_as_root() -> None:
    runtimes = by_kind(load(RUNTIMES), "ServingRuntime")
    rooted = {
        name
        for name, runtime in runtimes.items()
        for container in containers(runtime["spec"])
        if not container["securityContext"].get("runAsNonRoot")
    }
    assert rooted == {"lmdeploy", "sglang", "vllm-cpu"}


def test_a_vendors_image_runs_as_its_own_user() -> None:
    runtimes = by_kind(load(RUNTIMES / "amd"), "ServingRuntime")
    for name in ("vllm", "vllm-multi-node", "ollama-gpu"):
        for container in containers(runtimes[name]["spec"]):
            assert "runAsUser" not in container["securityContext"]


def test_engines_are_told_which_accelerator_they_compute_on() -> None:
    words = {}
    for folder, name in (("ascend", "lmdeploy"), ("intel", "sglang"), ("nvidia", "sglang")):
        (container,) = containers(by_kind(load(RUNTIMES / folder), "ServingRuntime")[name]["spec"])
        words[folder] = container["args"]
    assert words["ascend"][-2:] == ["--backend=pytorch", "--device=ascend"]
    assert "--device=xpu" in words["intel"]
    assert not any(word.startswith("--device") for word in words["nvidia"])


def test_ollama_is_there_for_gpus_too() -> None:
    limits = {}
    for name in ("ollama", "ollama-gpu"):
        (container,) = containers(by_kind(load(RUNTIMES), "ServingRuntime")[name]["spec"])
        limits[name] = container["resources"]["limits"]
    assert limits["ollama-gpu"]["nvidia.com/gpu"] == "1"
    assert "nvidia.com/gpu" not in limits["ollama"]


def test_triton_takes_what_pytorch_writes() -> None:
    formats = by_kind(load(RUNTIMES), "ServingRuntime")["triton"]["spec"]["supportedModelFormats"]
    assert {"pytorch", "torchscript"} <= {form["name"] for form in formats}


@pytest.mark.parametrize("name", ACCELERATORS)
def test_the_files_are_what_the_builder_makes(name: str, tmp_path: Path) -> None:
    shutil.copytree(RUNTIMES / name, tmp_path / name)
    write(tmp_path / name, ACCELERATORS[name])
    shipped, built = (
        {path.name: path.read_text() for path in (root / name).iterdir()}
        for root in (RUNTIMES, tmp_path)
    )
    assert shipped == built, "run `python -m inferencegraph.build.runtimes manifests/runtimes`"
    fresh = write(tmp_path / "fresh", ACCELERATORS[name])
    assert {path.name: path.read_text() for path in fresh} == shipped


def test_there_is_one_for_every_engine() -> None:
    assert {*by_kind(load(RUNTIMES), "ServingRuntime")} >= {
        "huggingface",
        "llama-cpp",
        "lmdeploy",
        "ollama",
        "ollama-gpu",
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


@pytest.mark.parametrize("name", ["amd", "ascend", "cambricon", "intel"])
def test_another_accelerator_has_its_own_name_and_images_everywhere(name: str) -> None:
    runtimes = by_kind(load(RUNTIMES / name), "ServingRuntime")
    assert runtimes.keys() == by_kind(load(RUNTIMES), "ServingRuntime").keys()
    assert "nvidia.com" not in yaml.safe_dump(runtimes)
    resource = ACCELERATORS[name].resource
    spec = runtimes["vllm-multi-node"]["spec"]
    for part in (spec["containers"][0], spec["workerSpec"]["containers"][0]):
        assert part["resources"]["limits"][resource] == part["resources"]["requests"][resource]
        assert part["image"] == ACCELERATORS[name].images["vllm"]


def test_an_image_is_changed_in_its_config_map_alone(tmp_path: Path) -> None:
    write(tmp_path, ACCELERATORS["nvidia"])
    images = tmp_path / "images.yaml"
    images.write_text(images.read_text().replace(IMAGES["sglang"], "lmsysorg/sglang:v9"))
    _main([str(tmp_path), "--accelerator", "vendor.com/device"])
    runtimes = by_kind(load(tmp_path), "ServingRuntime")
    (container,) = containers(runtimes["sglang"]["spec"])
    assert container["image"] == "lmsysorg/sglang:v9"
    assert container["resources"]["limits"]["vendor.com/device"] == "1"
    images.write_text(images.read_text().replace("  sglang:", "  sglung:"))
    with pytest.raises(ConfigurationError, match="no image for 'sglang'; add it under data"):
        write(tmp_path, ACCELERATORS["nvidia"])


def test_another_resource_of_a_vendor_has_its_images_and_options(tmp_path: Path) -> None:
    _main([str(tmp_path), "--accelerator", "gpu.intel.com/i915"])
    (container,) = containers(by_kind(load(tmp_path), "ServingRuntime")["sglang"]["spec"])
    assert container["image"] == "intel/sglang-dev:latest"
    assert container["resources"]["limits"]["gpu.intel.com/i915"] == "1"
    assert "--device=xpu" in container["args"]


def test_our_own_runtime_is_as_closed_as_our_services() -> None:
    (container,) = containers(by_kind(load(RUNTIMES), "ServingRuntime")["predictor"]["spec"])
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["runAsNonRoot"] is True
    assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


def test_the_examples_show_every_way_to_spread_a_model_and_to_bring_it() -> None:
    services = by_kind(load(RUNTIMES / "examples"), "InferenceService").values()
    predictors = [service["spec"]["predictor"] for service in services]
    models = [predictor["model"] for predictor in predictors if "model" in predictor]
    limits = [model["resources"]["limits"] for model in models]
    assert {entry.get("nvidia.com/gpu", "0") for entry in limits} >= {"0", "1", "4"}
    assert any(predictor.get("minReplicas", 1) > 1 for predictor in predictors)
    assert any("workerSpec" in predictor for predictor in predictors)
    schemes = {str(model.get("storageUri", "none")).partition("://")[0] for model in models}
    assert schemes == {"hf", "pvc", "s3"}
    assert {model["runtime"] for model in models} >= {
        "huggingface",
        "llama-cpp",
        "lmdeploy",
        "ollama",
        "sglang",
        "triton",
        "vllm",
        "vllm-multi-node",
    }


def _own() -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """Our predictor's containers: name, options and environment."""
    manifests = load(RUNTIMES / "examples")
    (runtime,) = containers(by_kind(manifests, "ServingRuntime")["predictor"]["spec"])
    environment = {entry["name"]: entry["value"] for entry in runtime["env"]}
    yield "predictor", [*runtime["args"], "--engine=huggingface"], environment
    for name, service in by_kind(manifests, "InferenceService").items():
        for container in containers(service["spec"]["predictor"]):
            if container.get("image", "").startswith("kserve-hem-predictor"):
                named = {entry["name"]: entry["value"] for entry in container["env"]}
                yield name, container["args"], named


def test_every_setting_of_our_runtime_is_one_that_the_predictor_reads() -> None:
    checked = 0
    for _, words, environment in _own():
        options = dict(word.removeprefix("--").split("=", 1) for word in words)
        settings = (PredictorSettings, CacheSettings, ENGINES.load(options["engine"]).Settings)
        fields = {field for kind in settings for field in kind.model_fields}
        assert set(options) <= fields
        inherited = {"PREDICTOR_MODEL_DIR", "PROTOCOL", "OMP_NUM_THREADS"}
        names = {f"PREDICTOR_{field.upper()}" for field in fields}
        assert set(environment) - inherited <= names
        checked += 1
    assert checked == 4


def test_the_uplinks_call_services_that_exist() -> None:
    services = by_kind(load(RUNTIMES / "examples"), "InferenceService")
    for document in read(RUNTIMES / "examples/site-of-any-engine.yaml"):
        (container,) = document.content["spec"]["predictor"]["containers"]
        args = container["args"]
        options = dict(word.removeprefix("--").split("=", 1) for word in args)
        upstream = options["upstream_model"]
        assert options["url"] == f"http://{upstream}-predictor/v1"
        assert upstream in services


# Images of which no other tag is published, and a placeholder.
_UNVERSIONED = {"ascend/lmdeploy", "intel/sglang", "cambricon/vllm"}


def test_engines_images_are_named_by_versions() -> None:
    named = {f"nvidia/{engine}": image for engine, image in IMAGES.items()}
    for vendor, images in OTHER_IMAGES.items():
        named |= {f"{vendor}/{engine}": image for engine, image in images.items()}
    moving = {
        name
        for name, image in named.items()
        if not any(char.isdigit() for char in image.rpartition(":")[2]) or "latest" in image
    }
    assert moving == _UNVERSIONED


def test_the_shipped_images_are_those_of_the_table() -> None:
    for vendor, accelerator in ACCELERATORS.items():
        (content,) = yaml.safe_load_all((RUNTIMES / vendor / "images.yaml").read_text())
        assert content["data"] == {**IMAGES, **accelerator.images}
