"""A side's engine is one value of its model: what each makes of the pod, and what is refused."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from inferencegraph.build.annotated import annotated
from inferencegraph.build.engine_pods import model_pod
from inferencegraph.build.engine_servers import OWN_IMAGES, SERVERS
from inferencegraph.build.mining import MINING_MODES
from inferencegraph.build.pods import Images, Resources
from inferencegraph.build.sites import Model
from inferencegraph.check.validate import validate
from inferencegraph.local.containers import LOCAL_COMMANDS
from inferencegraph.local.plan import plan
from inferencegraph.spec.examples import FOLDER, example, files, setup
from predictors.contract import CLOUD, EDGE
from predictors.engines import ENGINES
from predictors.engines.vllm.settings import VLLMSettings
from predictors.errors import ConfigurationError
from predictors.serving.settings import PredictorSettings
from tests.inferencegraph.build.crds import violations

MANIFESTS = Path(__file__).resolve().parents[3] / "manifests"
TEXT_ENGINES = ["huggingface", "openai_api", "triton", "vllm"]
EVERY_EXAMPLE = [
    pytest.param(mode, side, engine, id=f"{mode}-{side}-{engine}")
    for mode in MINING_MODES
    for side in (EDGE, CLOUD)
    for engine in TEXT_ENGINES
]
MODEL = Model(Resources("2", "4Gi"), directory="org/model")


def _example(mode: str, side: str, engine: str) -> dict[str, dict[str, Any]]:
    return _with(mode, side, replace(getattr(setup(FOLDER / mode), side), engine=engine))


def _with(mode: str, side: str, model: Model) -> dict[str, dict[str, Any]]:
    return files(replace(setup(FOLDER / mode), **{side: model}))


def _containers(model: Model) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in model_pod("qa", model, Images())["containers"]}


def _words(container: dict[str, Any]) -> dict[str, str]:
    return dict(word.removeprefix("--").split("=", 1) for word in container["args"])


@pytest.mark.parametrize(("mode", "side", "engine"), EVERY_EXAMPLE)
def test_kserves_crds_and_our_checks_take_every_engine_on_either_side(
    mode: str, side: str, engine: str, shared: Path
) -> None:
    manifests = list(_example(mode, side, engine).values())
    for manifest in manifests:
        assert violations(shared / "crds", manifest) == []
        assert yaml.safe_load(annotated(manifest)) == manifest
    assert validate(manifests, complete=True) == []


@pytest.mark.parametrize(("mode", "side", "engine"), EVERY_EXAMPLE)
def test_only_the_predictor_of_that_side_changes(mode: str, side: str, engine: str) -> None:
    shipped, other = example(mode), _example(mode, side, engine)
    predictors = [files[f"{side}.yaml"]["spec"].pop("predictor") for files in (shipped, other)]
    assert shipped == other
    kept = [
        {key: value for key, value in pod.items() if key not in ("containers", "volumes")}
        for pod in predictors
    ]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("engine", TEXT_ENGINES)
def test_every_option_of_our_container_is_one_that_its_engine_reads(engine: str) -> None:
    container = _containers(replace(MODEL, engine=engine))["kserve-container"]
    own = VLLMSettings if engine == "vllm" else ENGINES.load(engine).Settings
    assert {*_words(container)} <= {*PredictorSettings.model_fields, *own.model_fields}
    assert _words(container)["engine"] == engine


@pytest.mark.parametrize(
    ("engine", "image"),
    [
        ("classifier", "kserve-hem-predictor"),
        ("huggingface", "kserve-hem-predictor"),
        ("openai_api", "kserve-hem-predictor"),
        ("triton", "kserve-hem-predictor"),
        ("vllm", "kserve-hem-predictor-vllm"),
    ],
)
def test_our_container_has_an_image_that_holds_its_engine(engine: str, image: str) -> None:
    assert _containers(replace(MODEL, engine=engine))["kserve-container"]["image"] == image


def test_engines_with_an_image_of_their_own_exist() -> None:
    assert {*OWN_IMAGES} <= {*ENGINES.names()} - {*SERVERS}


def test_vllm_runs_here_by_the_command_that_every_engine_has() -> None:
    service = _example(MINING_MODES[0], CLOUD, "vllm")["cloud.yaml"]
    made = plan([service], [], [], LOCAL_COMMANDS, iter(range(20_001, 20_100)))
    (ours,) = made.components
    assert ours.command[:4] == (sys.executable, "-P", "-m", "predictors")
    assert "--engine=vllm" in ours.command


@pytest.mark.parametrize("engine", ["openai_api", "triton"])
def test_the_server_has_the_models_resources_and_ours_is_light(engine: str) -> None:
    ours, server = _containers(replace(MODEL, engine=engine, server_arguments=("--x=1",))).values()
    assert ours["name"] == "kserve-container"
    assert server["resources"]["limits"] == {"cpu": "2", "memory": "4Gi"}
    assert ours["resources"]["limits"] == {"cpu": "250m", "memory": "512Mi"}
    assert _words(server)["model_dir"] == "org/model"
    assert _words(server)["model_name"] == _words(ours)["upstream_model"] == "qa"
    assert server["args"][-1] == "--x=1"
    assert server["securityContext"] == ours["securityContext"]
    assert server["startupProbe"]["failureThreshold"] == 60
    assert server["volumeMounts"] == [
        {"name": "tmp-server", "mountPath": "/tmp"},
        {"name": "shared-memory", "mountPath": "/dev/shm"},
    ]
    assert ours["volumeMounts"] == [{"name": "tmp", "mountPath": "/tmp"}]
    assert server["lifecycle"]["preStop"] == {"exec": {"command": ["sleep", "5"]}}


@pytest.mark.parametrize("engine", ["openai_api", "triton"])
def test_our_container_finds_the_server_in_its_pod(engine: str) -> None:
    service = _example(MINING_MODES[0], CLOUD, engine)["cloud.yaml"]
    made = plan([service], [], [], LOCAL_COMMANDS, iter(range(20_001, 20_100)))
    ours, server = made.components
    port = {"openai_api": server.port, "triton": server.port + 1}[engine]  # Triton's gRPC
    assert any(f"127.0.0.1:{port}" in word for word in ours.command if "--url" in word)
    assert str(server.port) == server.command[server.command.index(_port_option(engine)) + 1]
    assert server.ready_path == {"openai_api": "/health", "triton": "/v2/health/ready"}[engine]


def _port_option(engine: str) -> str:
    return {"openai_api": "--port", "triton": "--http-port"}[engine]


@pytest.mark.parametrize("engine", list(SERVERS))
def test_a_server_elsewhere_needs_no_container_here(engine: str) -> None:
    model = Model(MODEL.resources, engine=engine, url="http://far:1/v1", directory="gpt-4o-mini")
    (container,) = _containers(model).values()
    assert _words(container)["url"] == "http://far:1/v1"
    assert _words(container)["upstream_model"] == "gpt-4o-mini"
    assert "upstream_model" not in _words(
        next(iter(_containers(replace(model, directory=None)).values()))
    )


@pytest.mark.parametrize("engine", ["openai_api", "triton"])
def test_a_claim_is_mounted_into_the_server(engine: str, shared: Path) -> None:
    stored = Model(MODEL.resources, storage_uri="pvc://models/llm/qwen", engine=engine)
    pod = model_pod("qa", stored, Images())
    ours, server = pod["containers"]
    mount = {"name": "model", "mountPath": "/mnt/models", "readOnly": True, "subPath": "llm/qwen"}
    assert mount in server["volumeMounts"]
    assert _words(server)["model_dir"] == "/mnt/models"
    claim = {"claimName": "models", "readOnly": True}
    assert {"name": "model", "persistentVolumeClaim": claim} in pod["volumes"]
    assert "STORAGE_URI" not in {entry["name"] for entry in ours["env"]}
    service = _with(MINING_MODES[0], CLOUD, stored)["cloud.yaml"]
    assert violations(shared / "crds", service) == []
    whole = model_pod("qa", replace(stored, storage_uri="pvc://models"), Images())
    assert not any("subPath" in mount for mount in whole["containers"][1]["volumeMounts"])


def _refused() -> Iterator[Any]:
    elsewhere = {"url": "http://far", "directory": None}
    yield "openai_api", {"storage_uri": "s3://b/m", "directory": None}, "'s3://b/m'.*pvc://CLAIM"
    yield "triton", {"storage_uri": "hf://a/b", "directory": None}, "triton container of engine"
    yield "triton", {"storage_uri": "pvc://", "directory": None}, "pvc://CLAIM/PATH"
    yield "triton", {"resources": Resources("2", "4Gi", gpus=1)}, "computes on CPUs; with 1 GPUs"
    yield "kserve", {}, "engine 'kserve' asks a server elsewhere: give its url"
    yield "vllm", elsewhere, "url 'http://far': engine 'vllm' loads the model itself"
    yield "huggingface", {"server_arguments": ("--x",)}, "server_arguments .*'huggingface' loads"
    yield "triton", {"url": "far:1", "server_arguments": ("--x",)}, "remove server_arguments"
    yield "triton", {**elsewhere, "storage_uri": "pvc://m"}, "remove storage_uri 'pvc://m'"


@pytest.mark.parametrize(("engine", "values", "message"), list(_refused()))
def test_what_does_not_fit_an_engine_is_one_clear_line(
    engine: str, values: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message) as refused:
        model_pod("qa", replace(MODEL, engine=engine, **values), Images())
    assert "\n" not in str(refused.value)


def test_every_image_has_its_tag_and_its_local_command() -> None:
    names = set(Images().ours.values())
    kustomization = yaml.safe_load((MANIFESTS / "images/kustomization.yaml").read_text())
    assert {image["name"] for image in kustomization["images"]} == names
    assert names <= set(LOCAL_COMMANDS)
