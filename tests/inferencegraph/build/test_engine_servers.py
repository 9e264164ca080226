"""Engines that bring their own server: it stands beside our predictor in one pod."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.build.engine import IN_A_RUNTIME
from inferencegraph.build.engine_images import IMAGES, OTHER_IMAGES
from inferencegraph.build.engine_pods import model_pod
from inferencegraph.build.engine_servers import SERVERS, EngineServer
from inferencegraph.build.engine_table import ENGINES
from inferencegraph.build.pods import Images, Resources
from inferencegraph.build.services import cloud_service
from inferencegraph.build.sites import Model
from inferencegraph.check.validate import validate
from inferencegraph.local.containers import LOCAL_COMMANDS
from inferencegraph.local.plan import plan
from predictors.engines import ENGINES as PREDICTOR_ENGINES
from predictors.errors import ConfigurationError
from predictors.serving.settings import PredictorSettings
from tests.inferencegraph.build.crds import violations

BESIDE = [name for name, server in SERVERS.items() if isinstance(server, EngineServer)]
CPU = Resources("4", "8Gi")
GPU = Resources("4", "16Gi", gpus=1)
# By engine and what it computes on: the image's key, and the words that name the model `org/model`.
STARTED = [
    pytest.param("sglang", GPU, "sglang", "--model-path=org/model", id="sglang"),
    pytest.param("lmdeploy", GPU, "lmdeploy", "org/model", id="lmdeploy"),
    pytest.param("vllm-server", GPU, "vllm", "--model=org/model", id="vllm-server"),
    pytest.param("vllm-server", CPU, "vllm-cpu", "--model=org/model", id="vllm-server-cpu"),
    pytest.param("llama-cpp", CPU, "llama-cpp", "LLAMA_ARG_HF_REPO=org/model", id="llama-cpp"),
    pytest.param("ollama", CPU, "ollama", "LIBRARY_MODEL=org/model", id="ollama"),
    pytest.param("ollama", GPU, "ollama-gpu", "LIBRARY_MODEL=org/model", id="ollama-gpu"),
]


def _pod(model: Model) -> tuple[dict[str, Any], dict[str, Any]]:
    ours, server = model_pod("qa", model, Images())["containers"]
    return ours, server


def _environment(container: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in container["env"]}


def _said(container: dict[str, Any]) -> list[str]:
    variables = [f"{name}={value}" for name, value in _environment(container).items()]
    return [*container.get("command", []), *container.get("args", []), *variables]


def test_every_engine_is_tried_here() -> None:
    assert {case.values[0] for case in STARTED} == set(BESIDE)


@pytest.mark.parametrize(("engine", "resources", "key", "named"), STARTED)
def test_the_engine_is_started_for_the_model_under_our_name(
    engine: str, resources: Resources, key: str, named: str
) -> None:
    _, server = _pod(Model(resources, directory="org/model", engine=engine))
    said = _said(server)
    assert server["image"] == IMAGES[key]
    assert named in said
    assert any(word.rpartition("=")[2] == "qa" for word in said)
    assert any(word.endswith(("=8000", ":8000")) for word in said)
    assert not any("8080" in word or "{{" in word for word in said)
    table = ENGINES[key](IN_A_RUNTIME)
    assert server.get("command", [])[:2] == list(table.command[:2])
    assert server["resources"]["limits"] == resources.manifest()["limits"]
    assert server["securityContext"].get("runAsUser") == table.user
    assert _environment(server)[table.threads] == "4"


@pytest.mark.parametrize(("engine", "resources", "key", "named"), STARTED)
def test_kserves_crds_and_our_checks_take_the_pod(
    engine: str, resources: Resources, key: str, named: str, shared: Path
) -> None:
    service = cloud_service(
        "qa-cloud", Model(resources, directory="org/model", engine=engine), Images(), "qa"
    )
    assert violations(shared / "crds", service) == []
    assert validate([service], complete=True) == []
    predictor = service["spec"]["predictor"]
    ports = [port for container in predictor["containers"] for port in container["ports"]]
    assert len({port["name"] for port in ports}) == len(ports)
    assert len({port["containerPort"] for port in ports}) == len(ports)
    mounted = {
        mount["name"]
        for container in predictor["containers"]
        for mount in container["volumeMounts"]
    }
    assert mounted == {volume["name"] for volume in predictor["volumes"]}


@pytest.mark.parametrize("engine", BESIDE)
def test_our_container_asks_it_by_openais_api(engine: str) -> None:
    resources = GPU if engine in ("sglang", "lmdeploy") else CPU
    ours, server = _pod(Model(resources, directory="org/model", engine=engine))
    words = dict(word.removeprefix("--").split("=", 1) for word in ours["args"])
    assert words["engine"] == "openai_api"
    assert words["url"] == "http://localhost:8000/v1"
    assert words["upstream_model"] == "qa"
    own = PREDICTOR_ENGINES.load("openai_api").Settings.model_fields
    assert {*words} <= {*PredictorSettings.model_fields, *own}
    assert server["startupProbe"]["httpGet"]["port"] == 8000
    assert server["readinessProbe"]["httpGet"]["path"] in ("/health", "/v1/models/qa")
    assert server["lifecycle"]["preStop"] == {"exec": {"command": ["sleep", "5"]}}


@pytest.mark.parametrize(
    ("engine", "resources", "named"),
    [
        ("sglang", GPU, "--model-path=/mnt/models"),
        ("lmdeploy", GPU, "/mnt/models"),
        ("vllm-server", GPU, "--model=/mnt/models"),
        ("llama-cpp", CPU, "LLAMA_ARG_MODEL=/mnt/models/q4.gguf"),
        ("ollama", CPU, "GGUF_FILE=q4.gguf"),
    ],
)
def test_a_claims_folder_is_mounted_into_the_engine(
    engine: str, resources: Resources, named: str
) -> None:
    file = "" if engine in ("sglang", "lmdeploy", "vllm-server") else "/q4.gguf"
    model = Model(resources, storage_uri=f"pvc://models/llm/qwen{file}", engine=engine)
    pod = model_pod("qa", model, Images())
    server = pod["containers"][1]
    assert named in _said(server)
    mount = {"name": "model", "mountPath": "/mnt/models", "readOnly": True, "subPath": "llm/qwen"}
    assert mount in server["volumeMounts"]
    claim = {"claimName": "models", "readOnly": True}
    assert {"name": "model", "persistentVolumeClaim": claim} in pod["volumes"]


def test_a_file_at_the_top_of_a_claim_has_no_folder() -> None:
    model = Model(CPU, storage_uri="pvc://models/q4.gguf", engine="ollama")
    _, server = _pod(model)
    assert "subPath" not in server["volumeMounts"][-1]
    assert _environment(server)["GGUF_FILE"] == "q4.gguf"


def test_a_file_in_the_image_is_loaded_from_there() -> None:
    _, server = _pod(Model(CPU, directory="/models/q4.gguf", engine="llama-cpp", image="my/llama"))
    assert _environment(server)["LLAMA_ARG_MODEL"] == "/models/q4.gguf"
    assert server["image"] == "my/llama"


def test_options_of_the_server_reach_it() -> None:
    model = Model(GPU, directory="org/model", engine="sglang", server_arguments=("--tp-size=2",))
    assert _pod(model)[1]["args"][-1] == "--tp-size=2"
    larger = {"OLLAMA_CONTEXT_LENGTH": "8192"}
    model = Model(CPU, directory="qwen2.5:1.5b", engine="ollama", server_environment=larger)
    assert _environment(_pod(model)[1])["OLLAMA_CONTEXT_LENGTH"] == "8192"


@pytest.mark.parametrize(
    ("engine", "resource", "image", "word"),
    [
        (
            "lmdeploy",
            "huawei.com/Ascend910",
            "lmdeploy_dlinfer/ascend:a2-latest",
            "--device=ascend",
        ),
        ("sglang", "gpu.intel.com/xe", "intel/sglang-dev:latest", "--device=xpu"),
        ("ollama", "amd.com/gpu", OTHER_IMAGES["amd"]["ollama-gpu"], "LIBRARY_MODEL=org/model"),
        ("vllm-server", "vendor.com/device", IMAGES["vllm"], "--model=org/model"),
    ],
)
def test_another_accelerator_brings_its_image_and_options(
    engine: str, resource: str, image: str, word: str
) -> None:
    resources = replace(GPU, accelerator=resource)
    _, server = _pod(Model(resources, directory="org/model", engine=engine))
    assert server["image"].endswith(image)
    assert word in _said(server)
    assert server["resources"]["limits"] == {"cpu": "4", "memory": "16Gi", resource: "1"}


@pytest.mark.parametrize("engine", BESIDE)
def test_hem_up_says_that_it_has_no_command_for_the_image(engine: str) -> None:
    resources = GPU if engine in ("sglang", "lmdeploy") else CPU
    model = Model(resources, directory="org/model", engine=engine)
    service = cloud_service("qa-cloud", model, Images(), "qa")
    with pytest.raises(
        ConfigurationError, match=r"no local command for image .*--image"
    ) as refused:
        plan([service], [], [], LOCAL_COMMANDS, iter(range(20_001, 20_100)))
    assert engine in str(refused.value)


def _refused() -> Iterator[Any]:
    yield "sglang", {"resources": CPU}, "'sglang': its image computes on GPUs, .* has 0 GPUs"
    yield "llama-cpp", {"resources": GPU}, "computes on CPUs.*image of llama-cpp for GPUs"
    yield "ollama", {"server_arguments": ("--x",)}, "variables; give them as server_environment"
    yield "ollama", {"directory": "embedded:edge"}, "'embedded:edge': .*a name at its hub"
    yield "llama-cpp", {"directory": None, "storage_uri": "hf://a/b"}, "the llama-cpp container"
    elsewhere = {"url": "http://far", "server_environment": {"X": "1"}}
    yield "ollama", elsewhere, "remove server_environment"
    yield "huggingface", {"server_environment": {"X": "1"}}, "server_environment .*loads the model"


@pytest.mark.parametrize(("engine", "values", "message"), list(_refused()))
def test_what_does_not_fit_an_engine_is_one_clear_line(
    engine: str, values: dict[str, Any], message: str
) -> None:
    model = Model(CPU, directory="org/model")
    with pytest.raises(ConfigurationError, match=message) as refused:
        model_pod("qa", replace(model, engine=engine, **values), Images())
    assert "\n" not in str(refused.value)
