"""The cloud as an LLMInferenceService of KServe's: one that is there, and one that is made."""

from pathlib import Path

import pytest
import yaml

from inferencegraph.build.llm_service import child_name
from inferencegraph.check.validate import validate
from tests.inferencegraph.build.crds import violations
from tests.inferencegraph.running_hem import hem
from tests.inferencegraph.spec.documents import (
    Object,
    by_name,
    engine_file,
    errors_of,
    read,
    service,
    spec,
    told,
)

NAME = "LLMInferenceService/shop-cloud"
HUB = {"hub": "Qwen/Qwen3-32B"}
GPUS = {"limits": {"cpu": 8, "memory": "64Gi", "gpus": 4}}


def there(**fields: object) -> Object:
    document = spec()
    document["spec"]["cloudWorker"] = {"model": {"llmInferenceService": {"name": "big", **fields}}}
    return document


def made(namespace: str | None = None, part: Object | None = None, **worker: object) -> Object:
    document = spec()
    document["spec"]["cloudWorker"] = {"model": HUB, "llmInferenceService": part or {}, **worker}
    if namespace:
        document["metadata"]["namespace"] = namespace
    return document


def uplink(document: Object) -> list[str]:
    words: list[str] = service(read(document), "shop-uplink")["containers"][0]["args"]
    return words


def main(document: Object) -> Object:
    container: Object = by_name(read(document))[NAME]["spec"]["template"]["containers"][0]
    return container


@pytest.mark.parametrize(
    ("document", "url"),
    [
        (there(), "http://big-kserve-workload-svc:8000/v1"),
        (
            there(namespace="models"),
            "http://big-kserve-workload-svc.models.svc.cluster.local:8000/v1",
        ),
        (
            there(namespace="models", gateway="http://gateway.kserve/"),
            "http://gateway.kserve/models/big/v1",
        ),
        (made(), "http://shop-cloud-kserve-workload-svc:8000/v1"),
        (
            made("shops"),
            "http://shop-cloud-kserve-workload-svc.shops.svc.cluster.local:8000/v1",
        ),
        (
            made("shops", {"gateway": "http://gateway.kserve"}),
            "http://gateway.kserve/shops/shop-cloud/v1",
        ),
    ],
)
def test_the_uplink_asks_it_by_openais_api(document: Object, url: str) -> None:
    words = uplink(document)

    assert "--engine=openai_api" in words
    assert f"--url={url}" in words


@pytest.mark.parametrize(
    ("document", "model"),
    [
        (there(), "big"),
        (made(), "Qwen/Qwen3-32B"),
        (made(model={"storageUri": "pvc://models/big"}), "shop-cloud"),
        (made(model={**HUB, "name": "qwen"}), "qwen"),
    ],
)
def test_the_uplink_asks_for_the_model_by_the_name_that_it_has_there(
    document: Object, model: str
) -> None:
    assert f"--upstream_model={model}" in uplink(document)


def test_its_services_name_is_shortened_as_kserve_shortens_it() -> None:
    assert child_name("big", "-kserve-workload-svc") == "big-kserve-workload-svc"
    # An example of kmeta's own tests.
    assert child_name("f" * 63, "-deployment") == (
        "ffffffffffffffffffff105d7597f637e83cc711605ac3ea4957-deployment"
    )


def test_one_that_is_there_is_not_made() -> None:
    assert not [name for name in by_name(read(there())) if name.startswith("LLM")]


MADE = [
    made(),
    made(resource=GPUS, replicas=2),
    made(resource=GPUS, autoscaling={"maxReplicas": 3, "class": "keda"}),
    made(
        resource=GPUS, inferenceConfig={"vllmConfig": {"maxModelLen": 4096, "extraArgs": ["--x"]}}
    ),
    made(part={"router": False}, startSeconds=1200, nodeSelector={"pool": "gpu"}),
    made(resource={**GPUS, "accelerator": "amd.com/gpu"}),
]


@pytest.mark.parametrize("document", MADE)
def test_what_is_made_is_as_its_crd_has_it(document: Object, shared: Path) -> None:
    found = read(document)

    assert not errors_of(found)
    assert violations(shared / "crds", by_name(found)[NAME]) == []


def test_model_replicas_sizes_and_router_are_its_own_fields() -> None:
    whole = by_name(read(made(resource=GPUS, replicas=2)))[NAME]

    assert whole["apiVersion"] == "serving.kserve.io/v1alpha2"
    assert whole["metadata"]["labels"]["kserve-hem.io/owner"] == "shop"
    assert whole["spec"]["model"] == {"uri": "hf://Qwen/Qwen3-32B", "name": "Qwen/Qwen3-32B"}
    assert whole["spec"]["replicas"] == 2
    assert whole["spec"]["parallelism"] == {"tensor": 4}
    assert whole["spec"]["router"] == {"gateway": {}, "route": {}, "scheduler": {}}
    assert main(made(resource=GPUS))["resources"]["limits"]["nvidia.com/gpu"] == "4"


def test_keda_scales_it() -> None:
    part = {"minReplicas": 1, "maxReplicas": 3, "class": "keda", "target": 70}
    scaled = by_name(read(made(resource=GPUS, autoscaling=part)))[NAME]["spec"]

    assert "replicas" not in scaled
    assert scaled["scaling"] == {
        "minReplicas": 1,
        "maxReplicas": 3,
        "keda": {
            "triggers": [{"type": "cpu", "metricType": "Utilization", "metadata": {"value": "70"}}]
        },
    }


def test_kserves_own_image_serves_on_nvidia_and_vllms_elsewhere() -> None:
    assert "image" not in main(made(resource=GPUS))
    assert "rocm" in main(made(resource={**GPUS, "accelerator": "amd.com/gpu"}))["image"]
    on_cpus = main(made())
    assert "vllm-openai-cpu" in on_cpus["image"]
    assert on_cpus["securityContext"] == {"runAsNonRoot": False}


def test_its_block_is_a_file_that_vllm_reads() -> None:
    block = {"maxModelLen": 4096, "tensorParallelSize": 4, "extraArgs": ["--x"]}
    document = made(resource=GPUS, inferenceConfig={"vllmConfig": block})
    found = read(document)

    assert engine_file(found, "shop-cloud-engine") == {"max-model-len": 4096}
    assert main(document)["args"] == ["--x", "--config", "/etc/hem/engine/config.yaml"]
    whole = by_name(found)[NAME]["spec"]
    assert "kserve-hem.io/engine-config" in whole["annotations"]
    assert whole["template"]["volumes"][0]["configMap"] == {"name": "shop-cloud-engine"}


def test_a_template_is_carried_over(shared: Path) -> None:
    token = {"name": "HF_TOKEN", "valueFrom": {"secretKeyRef": {"name": "hub", "key": "token"}}}
    template = {
        "metadata": {"labels": {"team": "nlp"}},
        "spec": {"dnsPolicy": "Default", "containers": [{"name": "main", "env": [token]}]},
    }
    document = made(resource=GPUS, template=template)
    whole = by_name(read(document))[NAME]

    assert violations(shared / "crds", whole) == []
    assert whole["spec"]["labels"] == {"team": "nlp"}
    assert whole["spec"]["template"]["dnsPolicy"] == "Default"
    assert main(document)["env"] == [token]


def test_a_pull_secret_is_its_pods_too() -> None:
    document = made(resource=GPUS)
    document["spec"]["images"] = {"pullSecret": "ours"}

    assert by_name(read(document))[NAME]["spec"]["template"]["imagePullSecrets"] == [
        {"name": "ours"}
    ]


def test_it_may_be_the_only_side() -> None:
    document = made(resource=GPUS)
    del document["spec"]["edgeWorker"]

    assert list(by_name(read(document))) == [NAME]


@pytest.mark.parametrize(
    ("document", "field", "mend"),
    [
        (
            spec(edge={"model": {"llmInferenceService": {"name": "big"}}}),
            "spec.edgeWorker.model.llmInferenceService",
            "an edge model has storageUri",
        ),
        (there(gateway="http://gateway"), "metadata.namespace", "is required"),
        (there(gateway="gateway"), "spec.cloudWorker.model.llmInferenceService.gateway", "pattern"),
        (made(model={"file": "embedded:cloud"}), "spec.cloudWorker.model", "takes a hub id"),
        (made(model={"storageUri": "gs://a/b"}), "spec.cloudWorker.model", "hf://, pvc://"),
        (
            made(inferenceConfig={"engine": "sglang"}),
            "spec.cloudWorker.inferenceConfig.engine",
            "write vllm-server",
        ),
        (made(autoscaling={"maxReplicas": 2}), "spec.cloudWorker.autoscaling.class", "keda"),
        (
            made("x", {"router": False, "gateway": "http://g"}),
            "spec.cloudWorker.llmInferenceService.router",
            "gateway leads through it",
        ),
        (
            made(
                resource=GPUS,
                inferenceConfig={
                    "vllmConfig": {"tensorParallelSize": 4, "pipelineParallelSize": 2}
                },
            ),
            "spec.cloudWorker.inferenceConfig.vllmConfig.pipelineParallelSize",
            "leave llmInferenceService out",
        ),
    ],
)
def test_what_it_can_not_be_is_an_error(document: Object, field: str, mend: str) -> None:
    found = read(document)

    (said,) = told(found, "error")
    assert said.startswith(f"{field}: ")
    assert mend in said
    assert not found.documents


def test_validate_finds_what_its_crd_does_not_have() -> None:
    whole = by_name(read(made(resource=GPUS)))[NAME]
    whole["spec"]["replcas"] = 2
    del whole["spec"]["model"]["uri"]

    problems = {each.field: each.message for each in validate([whole])}
    assert len(problems) == 3  # and a note that its pods are not known
    assert "did you mean 'replicas'?" in problems["spec.replcas"]
    assert problems["spec.model.uri"] == "is missing, but required"


@pytest.mark.slow
def test_hem_up_says_that_it_needs_a_cluster(tmp_path: Path) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(yaml.safe_dump(made(resource=GPUS)))

    result = hem("up", "-f", str(path))
    assert result.returncode == 2
    assert "LLMInferenceService 'shop-cloud' does not run here" in result.stderr
    assert "give model.url" in result.stderr
