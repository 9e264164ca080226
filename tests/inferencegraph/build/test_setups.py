"""The setups of one language model: what each is chosen for stands in its manifest."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from inferencegraph.build.sites import Model
from inferencegraph.read.kustomize import load
from inferencegraph.spec.examples import FOLDERS, setup
from tests.conftest import ROOT
from tests.inferencegraph.spec.documents import by_name, read, service, spec, variables

SETUPS = ROOT / "manifests/setups"
GPU, OF_AMD = "nvidia.com/gpu", "amd.com/gpu"
# Setup -> the server's container, its image without the tag, GPUs, replicas, some of its options.
CASES = {
    "cpu": ("ollama", "ollama/ollama", {}, 1, {"OLLAMA_NUM_PARALLEL": "1"}),
    "one-gpu": ("ollama", "ollama/ollama", {GPU: "1"}, 1, {}),
    "chosen-gpu": ("ollama", "ollama/ollama", {GPU: "2"}, 1, {"CUDA_VISIBLE_DEVICES": "1"}),
    "chosen-gpu-amd": ("ollama", "ollama/ollama", {OF_AMD: "2"}, 1, {"ROCR_VISIBLE_DEVICES": "1"}),
    "several-gpus": (
        "vllm-server",
        "vllm/vllm-openai",
        {GPU: "2"},
        1,
        {"--tensor-parallel-size": "2", "--gpu-memory-utilization": "0.9"},
    ),
    "replicas-of-several-gpus": (
        "vllm-server",
        "vllm/vllm-openai",
        {GPU: "2"},
        2,
        {"--tensor-parallel-size": "2"},
    ),
    "in-sequence": ("ollama", "ollama/ollama", {GPU: "1"}, 1, {"OLLAMA_NUM_PARALLEL": "1"}),
    "in-batch": ("ollama", "ollama/ollama", {GPU: "1"}, 1, {"OLLAMA_NUM_PARALLEL": "8"}),
}


def _pod(name: str) -> dict[str, Any]:
    (made,) = [each for each in load(SETUPS / name) if each["kind"] == "InferenceService"]
    assert made["metadata"]["name"] == "llm-cloud"
    pod: dict[str, Any] = made["spec"]["predictor"]
    return pod


def _options(container: dict[str, Any], objects: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Of the command line, of variables, and of the file of the engine's block."""
    words = [word.partition("=") for word in container.get("args", [])]
    files = [each["data"]["config.yaml"] for each in objects if each["kind"] == "ConfigMap"]
    filed = {f"--{name}": str(v) for text in files for name, v in yaml.safe_load(text).items()}
    return {**variables(container), **{name: value for name, _, value in words}, **filed}


def test_each_shipped_setup_is_told_here_and_on_its_page() -> None:
    shipped = {folder.name for folder in FOLDERS if folder.parent == Path("setups")}
    page = (ROOT / "docs/setups.md").read_text()
    assert shipped == set(CASES)
    assert all(f"`{name}`" in page for name in shipped)


@pytest.mark.parametrize("name", CASES)
def test_a_setup_is_what_it_is_chosen_for(name: str) -> None:
    server, image, gpus, replicas, options = CASES[name]
    pod = _pod(name)
    ours, beside = pod["containers"]
    assert ours["name"] == "kserve-container"
    assert (beside["name"], beside["image"].rpartition(":")[0]) == (server, image)
    limits = beside["resources"]["limits"]
    assert {key: limits[key] for key in limits if "/" in key} == gpus
    assert (pod["minReplicas"], pod["maxReplicas"]) == (replicas, replicas)
    assert options.items() <= _options(beside, load(SETUPS / name)).items()
    assert not {"CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"} & set(variables(ours))


def test_replicas_are_not_all_evicted_at_once() -> None:
    (budget,) = [
        each
        for each in load(SETUPS / "replicas-of-several-gpus")
        if each["kind"] == "PodDisruptionBudget"
    ]
    kubernetes_validate.validate(budget, "1.34", strict=True)
    assert budget["spec"]["maxUnavailable"] == 1


@pytest.mark.parametrize(
    ("engine", "block", "said"),
    [
        ("vllm-server", {"vllmConfig": {"maxNumSeqs": 1}}, {"--max-num-seqs": "1"}),
        ("sglang", {"sglangConfig": {"maxRunningRequests": 1}}, {"--max-running-requests": "1"}),
        ("lmdeploy", {"lmdeployConfig": {"maxBatchSize": 1}}, {"--max-batch-size": "1"}),
        ("ollama", {"ollamaConfig": {"numParallel": 1}}, {"OLLAMA_NUM_PARALLEL": "1"}),
        ("llama-cpp", {"llamaCppConfig": {"nParallel": 1}}, {"LLAMA_ARG_N_PARALLEL": "1"}),
        ("huggingface", {"huggingfaceConfig": {"maxBatchSize": 1}}, {"--max_batch_size": "1"}),
        ("vllm", {"vllmConfig": {"maxNumSeqs": 1}}, {"--max_num_seqs": "1"}),
    ],
)
def test_every_engine_can_be_told_to_take_one_request_at_a_time(
    engine: str, block: dict[str, Any], said: dict[str, str]
) -> None:
    gpus = 0 if engine in ("llama-cpp", "huggingface", "ollama") else 1
    large = {
        "model": {"hub": "org/model"},
        "inferenceConfig": {"engine": engine, **block},
        "resource": {"limits": {"gpus": gpus}},
    }
    made = read(spec(cloud=large))
    assert not made.errors
    containers = service(made, "shop-cloud")["containers"]
    assert said.items() <= _options(containers[-1], list(by_name(made).values())).items()


@pytest.mark.parametrize("engine", ["sglang", "ollama", "lmdeploy"])
def test_each_engine_has_a_site_whose_edge_it_serves(engine: str) -> None:
    made = setup(Path("sites") / engine)
    assert isinstance(made.edge, Model) and made.edge.engine == engine
    assert made.cloud is not None and made.mining is not None
