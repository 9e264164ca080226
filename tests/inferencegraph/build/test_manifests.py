"""The manifests that ship: what the builders make, what KServe's CRDs take, what kustomize tags."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.build.accelerators import ACCELERATORS
from inferencegraph.build.engine_images import IMAGES
from inferencegraph.build.mining import MINING_MODES
from inferencegraph.check.fields import fields_of
from inferencegraph.check.kserve_types import (
    EXTENDS,
    REQUIRED,
    TYPES,
)
from inferencegraph.check.validate import validate
from inferencegraph.read.kustomize import load
from inferencegraph.spec.examples import (
    DIGITS_FOLDER,
    FOLDERS,
    STORED_FOLDER,
    example,
    setup,
    shipped,
    texts,
)
from predictors.engines import ENGINES
from predictors.serving.settings import PredictorSettings
from tests.inferencegraph.build.crds import (
    FILES,
    spec_schema,
    violations,
)
from transformers_hem.serving.settings import (
    HEMSettings,
    build_decider,
    environment_name,
    read_environment,
)
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.record import Origin

ROOT = Path(__file__).resolve().parents[3]
MANIFESTS = ROOT / "manifests"
EXAMPLES = {folder: shipped(folder) for folder in FOLDERS}
OURS = "kserve-hem-"
FOREIGN = {*IMAGES.values(), *(i for each in ACCELERATORS.values() for i in each.images.values())}
REWRITE = "run `python -m inferencegraph.spec.examples manifests`"


@pytest.mark.parametrize("folder", EXAMPLES, ids=str)
def test_the_files_are_what_their_specs_say(folder: Path) -> None:
    built = texts(folder)
    there = {path.name: path.read_text() for path in (MANIFESTS / folder).glob("*.yaml")}
    assert set(there) - {"kustomization.yaml"} == set(built), REWRITE
    for name, text in built.items():
        assert there[name] == text, f"{name}: {REWRITE}"


@pytest.mark.parametrize("folder", EXAMPLES, ids=str)
def test_comments_change_nothing(folder: Path) -> None:
    for name, text in texts(folder).items():
        assert yaml.safe_load(text) == EXAMPLES[folder][name]
        assert "&id" not in text


@pytest.mark.parametrize("folder", EXAMPLES, ids=str)
def test_the_kustomization_lists_every_file(folder: Path) -> None:
    loaded = load(MANIFESTS / folder)
    assert sorted((m["kind"], m["metadata"]["name"]) for m in loaded) == sorted(
        (m["kind"], m["metadata"]["name"]) for m in EXAMPLES[folder].values()
    )


@pytest.mark.parametrize("folder", EXAMPLES, ids=str)
def test_kserves_crds_take_them(folder: Path, shared: Path) -> None:
    for manifest in load(MANIFESTS / folder):
        if manifest["kind"] in FILES:
            assert violations(shared / "crds", manifest) == []


def test_the_crds_refuse_a_misspelt_field(shared: Path) -> None:
    (graph,) = [m for m in example(MINING_MODES[0]).values() if m["kind"] == "InferenceGraph"]
    graph["spec"]["nodes"]["root"]["steps"][0]["dependancy"] = "Hard"
    (violation,) = violations(shared / "crds", graph)
    assert "dependancy" in violation


@pytest.mark.parametrize("folder", EXAMPLES, ids=str)
def test_our_own_checks_find_nothing(folder: Path) -> None:
    found = validate(load(MANIFESTS / folder), complete=True)
    assert [problem for problem in found if problem.severity != "note"] == []


@pytest.mark.parametrize("folder", EXAMPLES, ids=str)
def test_image_tags_come_from_one_place_and_are_the_projects_version(folder: Path) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    images = {
        container["image"]
        for manifest in load(MANIFESTS / folder)
        if manifest["kind"] == "InferenceService"
        for component in manifest["spec"].values()
        for container in component["containers"]
    }
    ours = {image for image in images if image.startswith(OURS)}
    assert {image.rpartition(":")[2] for image in ours} == {project["version"]}
    assert images - ours <= FOREIGN


_OF_THE_POD = {"PROTOCOL", "OMP_NUM_THREADS", "STORAGE_URI"}


def _pods(folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    for manifest in EXAMPLES[folder].values():
        if manifest["kind"] == "InferenceService":
            yield from manifest["spec"].items()


_COMPONENTS = {"claim": "models", "cloud-engine": "engine", "edge-engine": "engine"}
_WHOLE = ("Job",)  # whose component's name has a hyphen


@pytest.mark.parametrize("folder", EXAMPLES, ids=str)
def test_every_object_has_the_recommended_labels(folder: Path) -> None:
    for name, manifest in EXAMPLES[folder].items():
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "kserve-hem"
        assert labels["app.kubernetes.io/instance"] == setup(folder).name
        stem = name.removesuffix(".yaml")
        part = stem if manifest["kind"] in _WHOLE else stem.partition("-")[0]
        assert labels["app.kubernetes.io/component"] == _COMPONENTS.get(stem, part)


@pytest.mark.parametrize("folder", EXAMPLES, ids=str)
def test_a_pod_gets_what_an_operator_asks_for(folder: Path) -> None:
    for _, pod in _pods(folder):
        assert pod["automountServiceAccountToken"] is False
        assert pod["enableServiceLinks"] is False
        assert pod["imagePullSecrets"] == [{"name": "kserve-hem-registry"}]
        assert pod["annotations"]["prometheus.io/scrape"] == "true"
        volumes = {volume["name"]: volume for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            if container["image"].startswith(OURS):
                assert container["securityContext"]["readOnlyRootFilesystem"] is True
            (writable,) = [m for m in container["volumeMounts"] if m["mountPath"] == "/tmp"]
            assert volumes[writable["name"]]["emptyDir"] == {}


@pytest.mark.parametrize("folder", EXAMPLES, ids=str)
def test_only_the_edges_model_has_no_room_for_a_second_pod(folder: Path) -> None:
    for manifest in EXAMPLES[folder].values():
        if manifest["kind"] == "InferenceService":
            for role, pod in manifest["spec"].items():
                strategy = pod.get("deploymentStrategy")
                is_edge = manifest["metadata"]["name"].endswith("-edge") and role == "predictor"
                assert (strategy is not None) == is_edge
                assert not is_edge or strategy["rollingUpdate"] == {
                    "maxSurge": 0,
                    "maxUnavailable": 1,
                }


def test_a_server_that_is_not_ours_is_told_to_stop_after_nobody_asks_it_any_more() -> None:
    (triton,) = EXAMPLES[DIGITS_FOLDER]["cloud.yaml"]["spec"]["predictor"]["containers"]
    assert triton["lifecycle"]["preStop"] == {"exec": {"command": ["sleep", "5"]}}
    assert EXAMPLES[DIGITS_FOLDER]["cloud.yaml"]["spec"]["predictor"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": "8002",
        "prometheus.io/path": "/metrics",
    }


def test_models_of_ones_own_come_from_a_claim_and_from_a_hub() -> None:
    uris = {
        entry["value"]
        for container in _containers(STORED_FOLDER)
        for entry in container["env"]
        if entry["name"] == "STORAGE_URI"
    }
    assert uris == {"pvc://edge-models/qwen-small", "hf://Qwen/Qwen2.5-7B-Instruct"}
    assert EXAMPLES[STORED_FOLDER]["claim.yaml"]["metadata"]["name"] == "edge-models"


def _containers(folder: Path) -> Iterator[dict[str, Any]]:
    for manifest in EXAMPLES[folder].values():
        if manifest["kind"] == "InferenceService":
            for component in manifest["spec"].values():
                yield from component["containers"]


@pytest.mark.parametrize("folder", EXAMPLES, ids=str)
def test_every_setting_is_one_that_its_process_reads(folder: Path) -> None:
    for container in _containers(folder):
        if container["image"] not in ("kserve-hem-predictor", "kserve-hem-transformer"):
            continue  # an engine's own options
        words = dict(word.removeprefix("--").split("=", 1) for word in container["args"])
        names = {entry["name"] for entry in container["env"]} - _OF_THE_POD
        if "engine" in words:
            fields = {*PredictorSettings.model_fields}
            fields |= {*ENGINES.load(words["engine"]).Settings.model_fields}
            assert {*words} <= fields
            assert names <= {f"PREDICTOR_{field.upper()}" for field in fields}
        else:
            assert names <= {environment_name(field) for field in HEMSettings.model_fields}


def _mines_with_what_is_here(folder: Path) -> bool:
    """Not by a model that has to come from a hub."""
    mining = setup(folder).mining
    return mining is not None and "model" not in mining.parameters


@pytest.mark.parametrize("folder", [*filter(_mines_with_what_is_here, EXAMPLES)], ids=str)
def test_hem_accepts_what_its_manifest_says(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (container,) = [c for c in _containers(folder) if c["image"] == "kserve-hem-transformer"]
    for entry in container["env"]:
        if "value" in entry:  # others come from Secrets
            monkeypatch.setenv(entry["name"], entry["value"])
    if (jobs := setup(folder).retraining) is not None:
        Versions.at(tmp_path).promote(jobs.first, Origin(how="added"), "the first", None, "added")
        monkeypatch.setenv("HEM_ROUTER", str(tmp_path))
    decider = build_decider(read_environment())
    mining = setup(folder).mining
    assert mining is not None
    strategy = mining.design.strategy if mining.design else ""
    assert (decider.name, decider.strategy_name) == (mining.algorithm or strategy, strategy)


def test_the_table_of_fields_is_kserves_own(shared: Path) -> None:
    for kind in FILES:
        schema = spec_schema(shared / "crds", kind)
        assert set(TYPES[kind]) == set(schema["properties"])
        spec = schema["properties"]["spec"]
        spec_type = TYPES[kind]["spec"]
        assert set(fields_of(spec_type)) == set(spec["properties"])
        assert set(REQUIRED.get(spec_type, ())) == set(spec.get("required", ()))
    graph = spec_schema(shared / "crds", "InferenceGraph")["properties"]["spec"]["properties"]
    router = graph["nodes"]["additionalProperties"]
    assert set(TYPES["InferenceRouter"]) == set(router["properties"])
    step = router["properties"]["steps"]["items"]
    assert set(TYPES["InferenceStep"]) == set(step["properties"])
    assert set(TYPES["RouterTimeouts"]) == set(graph["routerTimeouts"]["properties"])


def test_the_fields_of_runtimes_and_models_are_kserves_own(shared: Path) -> None:
    runtime = spec_schema(shared / "crds", "ServingRuntime")["properties"]["spec"]["properties"]
    workers = runtime["workerSpec"]
    assert set(fields_of("RuntimeWorkerSpec")) == set(workers["properties"])
    assert set(REQUIRED["RuntimeWorkerSpec"]) == set(workers["required"])
    model_format = runtime["supportedModelFormats"]["items"]
    assert set(TYPES["SupportedModelFormat"]) == set(model_format["properties"])
    assert set(REQUIRED["SupportedModelFormat"]) == set(model_format["required"])
    service = spec_schema(shared / "crds", "InferenceService")["properties"]["spec"]["properties"]
    predictor = service["predictor"]["properties"]
    assert set(predictor["model"]["properties"]) <= set(fields_of("ModelSpec"))
    assert set(TYPES["ModelSpec"]) <= set(predictor["model"]["properties"])
    assert set(predictor["workerSpec"]["properties"]) <= set(fields_of("WorkerSpec"))
    assert set(TYPES["ModelFormat"]) == set(
        predictor["model"]["properties"]["modelFormat"]["properties"]
    )


LLM_TYPES = [
    ("LLMInferenceServiceSpec", ()),
    ("LLMWorkload", ("prefill",)),
    ("LLMModel", ("model",)),
    ("LLMParallelism", ("parallelism",)),
    ("LLMScaling", ("scaling",)),
    ("LLMRouter", ("router",)),
    ("LLMGateway", ("router", "gateway")),
    ("LLMRoute", ("router", "route")),
    ("LLMScheduler", ("router", "scheduler")),
]


@pytest.mark.parametrize(("type_name", "path"), LLM_TYPES, ids=[each[0] for each in LLM_TYPES])
def test_the_fields_of_an_llm_inference_service_are_kserves_own(
    type_name: str, path: tuple[str, ...], shared: Path
) -> None:
    part = spec_schema(shared / "crds", "LLMInferenceService")["properties"]["spec"]
    for name in path:
        part = part["properties"][name]
    assert set(TYPES[type_name]) == set(part["properties"])
    assert set(REQUIRED.get(type_name, ())) == set(part.get("required", ()))


@pytest.mark.parametrize(
    ("component", "type_name"), [("predictor", "PredictorSpec"), ("transformer", "ComponentSpec")]
)
def test_the_components_fields_are_kserves_own(
    component: str, type_name: str, shared: Path
) -> None:
    spec = spec_schema(shared / "crds", "InferenceService")["properties"]["spec"]["properties"]
    theirs = set(spec[component]["properties"])
    assert theirs <= set(fields_of(type_name))
    own = set(TYPES[type_name])
    if EXTENDS[type_name] in TYPES:
        own |= set(TYPES[EXTENDS[type_name]])
    assert own <= theirs


def test_the_threshold_of_digits_is_the_one_that_training_chose() -> None:
    card = json.loads((ROOT / "predictors/digits/training.json").read_text())
    mining = setup(DIGITS_FOLDER).mining
    assert mining is not None and mining.threshold == card["threshold"]
