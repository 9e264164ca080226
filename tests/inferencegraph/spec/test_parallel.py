"""Parallel sizes and GPUs of a worker: one pod, several nodes, replicas of either."""

from pathlib import Path

import pytest

from inferencegraph.build.accelerators import ACCELERATORS
from inferencegraph.build.engine_images import IMAGES
from inferencegraph.build.engine_table import MULTI_NODE
from inferencegraph.build.runtimes import runtimes
from inferencegraph.check.reconciled.site import reconciled
from tests.inferencegraph.build.crds import violations
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

HUB = {"hub": "Qwen/Qwen3-8B"}
CLAIM = {"storageUri": "pvc://models/big"}
BLOCKS = {
    "vllm": "vllmConfig",
    "vllm-server": "vllmConfig",
    "sglang": "sglangConfig",
    "lmdeploy": "lmdeployConfig",
}


def large(
    engine: str, sizes: Object, gpus: int | None = None, model: Object = HUB, **worker: object
) -> Object:
    resource = {} if gpus is None else {"resource": {"limits": {"gpus": gpus}}}
    config = {"engine": engine, BLOCKS[engine]: sizes}
    return spec(cloud={"model": model, "inferenceConfig": config, **resource, **worker})


def several(sizes: Object | None = None, **worker: object) -> Object:
    both = {"tensorParallelSize": 4, "pipelineParallelSize": 2, **(sizes or {})}
    return large("vllm-server", both, 4, CLAIM, **worker)


def small(sizes: Object, gpus: int) -> Object:
    config = {"engine": "vllm-server", "vllmConfig": sizes}
    resource = {"limits": {"gpus": gpus}}
    return spec(edge={"model": CLAIM, "inferenceConfig": config, "resource": resource})


@pytest.mark.parametrize(
    ("engine", "sizes", "gpus", "wanted", "says"),
    [
        ("vllm", {"tensorParallelSize": 2}, 2, "2", {"tensor_parallel_size": 2}),
        ("vllm", {"tensorParallelSize": 2}, None, "2", {"tensor_parallel_size": 2}),
        ("vllm", {}, 4, "4", {"tensor_parallel_size": 4}),
        (
            "vllm",
            {"dataParallelSize": 2},
            4,
            "4",
            {"tensor_parallel_size": 2, "data_parallel_size": 2},
        ),
        (
            "vllm",
            {"tensorParallelSize": 2, "pipelineParallelSize": 2},
            4,
            "4",
            {"tensor_parallel_size": 2, "pipeline_parallel_size": 2},
        ),
        (
            "vllm-server",
            {"tensorParallelSize": 2, "dataParallelSize": 3},
            None,
            "6",
            {"tensor-parallel-size": 2, "data-parallel-size": 3},
        ),
        ("sglang", {"dpSize": 2}, 4, "4", {"tp-size": 2, "dp-size": 2}),
    ],
)
def test_sizes_and_gpus_of_one_pod_follow_from_each_other(
    engine: str, sizes: Object, gpus: int | None, wanted: str, says: Object
) -> None:
    found = read(large(engine, sizes, gpus))

    assert not errors_of(found)
    model = service(found, "shop-cloud")["containers"][-1]
    assert model["resources"]["limits"]["nvidia.com/gpu"] == wanted
    assert engine_file(found, "shop-cloud-engine") == says
    mounts = {each["mountPath"] for each in model["volumeMounts"]}
    assert "/dev/shm" in mounts  # its processes pass tensors through it


def test_a_server_without_a_file_is_told_by_options() -> None:
    container = service(read(large("lmdeploy", {}, 2)), "shop-cloud")["containers"][1]

    assert "--tp=2" in container["args"]


def test_sizes_among_the_further_options_are_the_users_own() -> None:
    found = read(large("vllm", {"engineArgs": {"data_parallel_size": 2}}, 4))

    assert not errors_of(found)
    assert engine_file(found, "shop-cloud-engine") == {"engine_args": {"data_parallel_size": 2}}


def test_replicas_stand_in_front_of_model_parallel_groups(shared: Path) -> None:
    found = read(large("vllm", {"tensorParallelSize": 4}, replicas=3))

    cloud = service(found, "shop-cloud")
    assert (cloud["minReplicas"], cloud["maxReplicas"]) == (3, 3)
    assert cloud["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "4"
    assert violations(shared / "crds", by_name(found)["InferenceService/shop-cloud"]) == []


def test_a_model_over_nodes_is_a_runtime_and_a_service_that_kserve_takes(shared: Path) -> None:
    found = read(several({"maxModelLen": 8192}, startSeconds=7200))

    objects = by_name(found)
    runtime = objects["ServingRuntime/shop-cloud"]
    assert not errors_of(found)
    for content in (runtime, objects["InferenceService/shop-cloud"]):
        assert violations(shared / "crds", content) == []
        assert content["metadata"]["labels"]["kserve-hem.io/owner"] == "shop"
    predictor = service(found, "shop-cloud")
    assert predictor["model"]["runtime"] == "shop-cloud"
    assert predictor["model"]["storageUri"] == "pvc://models/big"
    assert predictor["workerSpec"]["pipelineParallelSize"] == 2
    assert predictor["workerSpec"]["tensorParallelSize"] == 4
    probe = runtime["spec"]["containers"][0]["startupProbe"]
    assert probe["failureThreshold"] * probe["periodSeconds"] == 7200


def test_kserve_makes_a_head_and_a_worker_of_it() -> None:
    found = read(several({"maxModelLen": 8192}))
    made = {
        each["metadata"]["name"]: each
        for each in reconciled([document.content for document in found.documents])
        if each["kind"] == "Deployment"
    }

    head = made["shop-cloud-predictor"]["spec"]["template"]["spec"]
    worker = made["shop-cloud-predictor-worker"]["spec"]
    (container,) = head["containers"]
    assert container["args"][-2:] == ["--config", "/etc/hem/engine/config.yaml"]
    assert {"name": "shop-cloud-engine"} in [each.get("configMap") for each in head["volumes"]]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "4"
    assert worker["replicas"] == 1
    # Its sizes come from KServe, so that the file doesn't say them again.
    assert engine_file(found, "shop-cloud-engine") == {"max-model-len": 8192}


def test_the_uplink_asks_the_head_by_openais_api() -> None:
    words = service(read(several()), "shop-uplink")["containers"][0]["args"]

    assert "--engine=openai_api" in words
    assert "--url=http://shop-cloud-predictor/v1" in words
    assert "--upstream_model=shop-cloud" in words


def test_its_runtime_is_the_shipped_one_with_its_own_resources() -> None:
    shipped = runtimes(ACCELERATORS["nvidia"], IMAGES)[MULTI_NODE]["spec"]
    own = by_name(read(several()))["ServingRuntime/shop-cloud"]["spec"]
    for spec_of in (shipped, own):
        for part in (spec_of["containers"][0], spec_of["workerSpec"]["containers"][0]):
            part.pop("resources")
    assert own == shipped


def test_an_accelerator_that_kserve_does_not_count_is_named_to_it() -> None:
    document = several()
    document["spec"]["cloudWorker"]["resource"] = {
        "limits": {"gpus": 4},
        "accelerator": "huawei.com/Ascend910",
    }
    runtime = by_name(read(document))["ServingRuntime/shop-cloud"]

    assert "Ascend910" in runtime["spec"]["annotations"]["serving.kserve.io/gpu-resource-types"]


def test_many_nodes_read_a_claim_that_is_made_for_it() -> None:
    claim = {"size": "200Gi", "accessMode": "ReadWriteMany", "storageClass": "nfs"}
    made = by_name(read(several(claim=claim)))["PersistentVolumeClaim/models"]

    assert made["spec"]["accessModes"] == ["ReadWriteMany"]
    assert made["spec"]["storageClassName"] == "nfs"


@pytest.mark.parametrize(
    ("document", "field", "mend"),
    [
        (
            large("vllm", {"tensorParallelSize": 4, "pipelineParallelSize": 2}, 3),
            "spec.cloudWorker.resource.limits.gpus",
            "is 3, but tensorParallelSize 4 x pipelineParallelSize 2 takes 8; write 8, or 4 for 2 "
            "nodes with 4 each",
        ),
        (
            large("sglang", {"tpSize": 4}, 2),
            "spec.cloudWorker.resource.limits.gpus",
            "is 2, but tpSize 4 takes 4; write 4",
        ),
        (
            large("vllm", {"dataParallelSize": 2}, 3),
            "spec.cloudWorker.resource.limits.gpus",
            "is 3, but dataParallelSize 2 takes 2",
        ),
        (
            small({"tensorParallelSize": 4, "pipelineParallelSize": 2}, 4),
            "spec.edgeWorker.inferenceConfig.vllmConfig",
            "an edge model runs on one node",
        ),
        (
            large("vllm", {"tensorParallelSize": 4, "pipelineParallelSize": 2}, 4, CLAIM),
            "spec.cloudWorker.inferenceConfig.engine",
            "write vllm-server",
        ),
        (
            large("vllm-server", {"tensorParallelSize": 4, "pipelineParallelSize": 2}, 4),
            "spec.cloudWorker.model",
            "from pvc:// or oci:// only",
        ),
        (several(claim={"size": "1Gi"}), "spec.cloudWorker.claim.accessMode", "ReadWriteMany"),
        (several(replicas=2), "spec.cloudWorker.replicas", "one group"),
        (
            several(autoscaling={"maxReplicas": 2}),
            "spec.cloudWorker.autoscaling",
            "one group",
        ),
        (
            several(template={"spec": {"dnsPolicy": "Default", "containers": []}}),
            "spec.cloudWorker.template",
            "is not carried over",
        ),
    ],
)
def test_what_contradicts_itself_is_an_error(document: Object, field: str, mend: str) -> None:
    found = read(document)

    (said,) = told(found, "error")
    assert said.startswith(f"{field}: ")
    assert mend in said
    assert not found.documents


@pytest.mark.parametrize(
    ("worker", "many"),
    [({"replicas": 2}, "up to 2 pods"), ({"autoscaling": {"maxReplicas": 3}}, "up to 3 pods")],
)
def test_a_claim_of_one_node_that_several_pods_mount_is_a_warning(
    worker: Object, many: str
) -> None:
    found = read(spec(cloud={"model": CLAIM, "claim": {"size": "1Gi"}, **worker}))

    (said,) = told(found, "warning")
    assert said.startswith("spec.cloudWorker.claim.accessMode: ")
    assert many in said
    assert found.documents
