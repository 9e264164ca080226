"""A service that a ServingRuntime serves: what is refused of both together, and who wrote it."""

import copy
from typing import Any, Final

import pytest

from inferencegraph.check.validate import validate

GPU: Final = {"limits": {"nvidia.com/gpu": "1"}, "requests": {"nvidia.com/gpu": "1"}}
PROBE: Final = {"httpGet": {"path": "/health", "port": 8080}}
RUNTIME: Final = {
    "apiVersion": "serving.kserve.io/v1alpha1",
    "kind": "ServingRuntime",
    "metadata": {"name": "vllm"},
    "spec": {
        "supportedModelFormats": [{"name": "huggingface", "version": "1"}],
        "containers": [
            {
                "name": "kserve-container",
                "image": "vllm:1",
                "env": [{"name": "HF_HOME", "value": "/tmp"}],
                "ports": [{"name": "http", "containerPort": 8080}],
                "readinessProbe": PROBE,
                "resources": GPU,
            }
        ],
    },
}
SERVICE: Final = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {
        "name": "qwen",
        "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
    },
    "spec": {
        "predictor": {
            "model": {
                "modelFormat": {"name": "huggingface"},
                "runtime": "vllm",
                "storageUri": "hf://org/model",
            }
        }
    },
}


def _told(model: dict[str, Any], *runtimes: dict[str, Any]) -> list[str]:
    """The errors of the service, with these fields in its model."""
    service: dict[str, Any] = copy.deepcopy(SERVICE)
    service["spec"]["predictor"]["model"] |= model
    return [
        f"{problem.field}: {problem.message}"
        for problem in validate([service, *runtimes])
        if problem.severity == "error"
    ]


def test_both_are_without_a_fault() -> None:
    assert _told({}, RUNTIME) == []
    assert _told({"env": [{"name": "A", "value": "1"}], "resources": GPU}, RUNTIME) == []


def test_a_fault_of_the_service_is_told_at_the_service() -> None:
    # In the pod the variable stands before the runtime's.
    (told,) = _told({"env": [{"name": "A=B", "value": "1"}]}, RUNTIME)
    assert told.startswith("spec.predictor.model.env[0].name: ")


def test_a_second_probe_beside_the_runtimes_is_told() -> None:
    (told,) = _told({"readinessProbe": {"tcpSocket": {"port": 8080}}}, RUNTIME)
    assert told == (
        "spec.predictor.model.readinessProbe.tcpSocket: there is httpGet already; keep one"
    )


def test_a_limit_under_what_the_runtime_requests_is_told() -> None:
    (told,) = _told({"resources": {"limits": {"nvidia.com/gpu": "2"}}}, RUNTIME)
    assert told.startswith(
        "spec.predictor.model: what ServingRuntime 'vllm' adds: containers[0].resources.requests"
    )


def test_a_fault_of_the_runtime_is_told_at_the_runtime_and_where_it_is_used() -> None:
    runtime: dict[str, Any] = copy.deepcopy(RUNTIME)
    runtime["spec"]["containers"][0]["ports"][0]["name"] = "HTTP"
    service, own = _told({}, runtime)
    assert service.startswith("spec.predictor.model: what ServingRuntime 'vllm' adds: ")
    assert own.startswith("spec.containers[0].ports[0].name: ")


def test_a_runtime_may_mount_a_volume_that_services_bring() -> None:
    runtime: dict[str, Any] = copy.deepcopy(RUNTIME)
    mount = {"name": "cache", "mountPath": "/cache"}
    runtime["spec"]["containers"][0]["volumeMounts"] = [mount]
    (told,) = _told({}, runtime)
    assert "unknown volume 'cache'" in told
    assert [p for p in validate([runtime]) if p.severity == "error"] == []


def test_what_a_runtime_of_the_cluster_brings_is_taken_on_trust() -> None:
    mount = {"name": "of-the-runtime", "mountPath": "/cache"}
    assert _told({"volumeMounts": [mount]}) == []
    (told,) = _told({"imagePullPolicy": "Sometimes"})
    assert told.startswith("spec.predictor.model.imagePullPolicy: ")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"runtime": None, "modelFormat": {"name": "gguf"}}, "takes 'gguf' with protocol v1"),
        ({"runtime": None, "modelFormat": {"name": "sklearn", "version": "9"}}, "'sklearn:9'"),
        ({"runtime": None, "protocolVersion": "grpc-v1"}, "protocol grpc-v1"),
        ({"modelFormat": {"name": "huggingface", "version": "2"}}, "version '2'"),
        ({"storageUri": "ftp://host/model"}, "KServe refuses ftp://"),
        ({"storageUri": "pvc:///model"}, "names no claim"),
        ({"storageUri": "https://a.blob.core.windows.net"}, "is no blob"),
    ],
)
def test_a_model_that_nothing_serves_or_fetches_is_told(model: dict[str, Any], words: str) -> None:
    assert any(words in told for told in _told(model, RUNTIME))


@pytest.mark.parametrize(
    "model",
    [
        {"runtime": None},  # KServe's own takes it
        {"runtime": None, "modelFormat": {"name": "sklearn", "version": "1"}},
        {"storageUri": "oci+native://registry/model:1"},
        {"storageUri": "https://a.blob.core.windows.net/container/model"},
    ],
)
def test_a_model_that_kserve_serves_and_fetches_is_no_error(model: dict[str, Any]) -> None:
    assert _told(model, RUNTIME) == []


@pytest.mark.parametrize("form", [{"prefix": "ftp://"}, {"regex": "^ftp://.+/.+"}])
def test_a_scheme_that_a_storage_container_here_takes_is_no_error(form: dict[str, str]) -> None:
    container = {
        "apiVersion": "serving.kserve.io/v1alpha1",
        "kind": "ClusterStorageContainer",
        "metadata": {"name": "ftp"},
        "spec": {"supportedUriFormats": [form]},
    }
    assert _told({"storageUri": "ftp://host/model"}, RUNTIME, container) == []


def test_a_disabled_runtime_is_told() -> None:
    runtime: dict[str, Any] = copy.deepcopy(RUNTIME)
    runtime["spec"]["disabled"] = True
    assert any("is disabled" in told for told in _told({}, runtime))
