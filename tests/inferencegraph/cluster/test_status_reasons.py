"""`hem status` of what doesn't run, and why."""

from pathlib import Path
from typing import Any

import pytest

from tests.inferencegraph.cluster.api_server import ApiServer
from tests.inferencegraph.cluster.conftest import Hem, printed
from tests.inferencegraph.cluster.controller import condition, pod
from tests.inferencegraph.cluster.shop import EDGE, EDGE_POD, not_ready, parts, waiting

Capture = pytest.CaptureFixture[str]


def test_before_the_controller_has_come_all_is_pending(
    server: ApiServer, hem: Hem, spec: Path, capsys: Capture
) -> None:
    hem("apply", "-f", spec)
    capsys.readouterr()
    assert hem("status", "--json") == 3
    found = parts(printed(capsys)[0])
    assert found["shop-cloud"]["reason"] == "NotReconciled"
    assert found["shop-till-1"]["reason"] == "WaitsForServices"
    assert found["shop-till-1"]["message"].endswith(
        "shop-till-1-edge, shop-till-1-hem, shop-till-1-uplink"
    )


ENDED = {"exitCode": 137, "reason": "OOMKilled"}


@pytest.mark.parametrize(
    ("status", "code", "reason", "message"),
    [
        (waiting("ImagePullBackOff", "no such image"), 1, "ImagePullBackOff", "no such image"),
        (waiting("ErrImagePull", "denied"), 1, "ErrImagePull", "denied"),
        (
            waiting("CreateContainerConfigError", 'secret "keys" not found'),
            1,
            "CreateContainerConfigError",
            'secret "keys" not found',
        ),
        (
            waiting("CrashLoopBackOff", lastState={"terminated": {"exitCode": 2}}),
            1,
            "CrashLoopBackOff",
            "3 restarts: ended with 2",
        ),
        (
            waiting("CrashLoopBackOff", lastState={"terminated": ENDED}),
            1,
            "OOMKilled",
            "container kserve-container, 3 restarts: ended with 137",
        ),
        (
            {"phase": "Failed", "reason": "Evicted", "message": "low on memory"},
            1,
            "Evicted",
            "low on memory",
        ),
        (
            {
                "phase": "Pending",
                "initContainerStatuses": [
                    {
                        "name": "storage-initializer",
                        "state": {"terminated": {"exitCode": 1, "reason": "Error"}},
                    }
                ],
            },
            1,
            "Error",
            "container storage-initializer",
        ),
        (
            {
                "phase": "Pending",
                "conditions": [
                    condition("PodScheduled", "False", "Unschedulable", "0/3 nodes are available")
                ],
            },
            3,
            "FailedScheduling",
            "0/3 nodes are available",
        ),
        (waiting("ContainerCreating"), 3, "MinimumReplicasUnavailable", ""),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isalpha() else "",
)
def test_a_pods_trouble_is_told_with_its_reason(
    status: dict[str, Any],
    code: int,
    reason: str,
    message: str,
    running: ApiServer,
    hem: Hem,
    capsys: Capture,
) -> None:
    not_ready(running)
    running.update("Pod", EDGE_POD, lambda each: each.update(status=status))
    assert hem("status", "--json") == code
    [shown] = printed(capsys)
    part = parts(shown)[EDGE]
    assert part["condition"] == {1: "Failed", 3: "Pending"}[code]
    assert part["reason"] == reason
    assert message in part["message"]
    assert part["failed"] == (1 if code == 1 else 0)
    assert shown["condition"] == part["condition"]
    assert shown["message"].startswith(f"InferenceService/{EDGE}")


@pytest.mark.parametrize("left", ["evicted", "going"])
def test_a_pod_that_another_one_has_replaced_ends_nothing(
    left: str, running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    labels = running.objects("Pod")[EDGE_POD]["metadata"]["labels"]
    old = pod("old", labels, phase="Failed", reason="Evicted", conditions=[])
    if left == "going":
        old = pod("old", labels, **waiting("CrashLoopBackOff"), conditions=[])
        old["metadata"]["deletionTimestamp"] = "2026-08-21T10:00:00Z"
    running.put(old)
    assert hem("status", "--json") == 0
    part = parts(printed(capsys)[0])[EDGE]
    assert (part["condition"], part["active"]) == ("Running", 1)
    assert part["failed"] == (1 if left == "evicted" else 0)


def test_a_new_version_whose_image_is_not_there_has_failed_though_the_old_one_serves(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    labels = running.objects("Pod")[EDGE_POD]["metadata"]["labels"]
    running.put(pod("new", labels, **waiting("ImagePullBackOff"), conditions=[]))
    assert hem("status", "--json") == 1
    part = parts(printed(capsys)[0])[EDGE]
    assert (part["reason"], part["active"], part["failed"]) == ("ImagePullBackOff", 1, 1)


def test_what_is_being_deleted_does_not_run(running: ApiServer, hem: Hem, capsys: Capture) -> None:
    def going(content: dict[str, Any]) -> None:
        content["metadata"]["deletionTimestamp"] = "2026-08-21T10:00:00Z"

    running.update("InferenceService", EDGE, going)
    assert hem("status", "--json") == 3
    assert parts(printed(capsys)[0])[EDGE]["reason"] == "Terminating"


def test_a_warning_says_why_a_pod_does_not_start(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    not_ready(running)
    status = waiting("ContainerCreating")
    running.update("Pod", EDGE_POD, lambda each: each.update(status=status))
    uid = running.objects("Pod")[EDGE_POD]["metadata"]["uid"]
    for number, text in enumerate(("an older one", 'secret "kserve-hem-keys" not found')):
        running.put(
            {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": f"e{number}"},
                "type": "Warning",
                "reason": "FailedMount",
                "message": text,
                "involvedObject": {"uid": uid},
                "lastTimestamp": f"2026-08-21T10:00:0{number}Z",
            }
        )
    assert hem("status", "--json") == 3
    part = parts(printed(capsys)[0])[EDGE]
    assert (part["reason"], part["message"]) == (
        "FailedMount",
        'secret "kserve-hem-keys" not found',
    )


def test_what_kserve_could_not_make_is_told_in_its_words(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    text = 'Deployment.apps "x" is invalid: ports[0].name: Invalid value'

    def failed(content: dict[str, Any]) -> None:
        content["status"]["conditions"] = [
            condition("PredictorReady", "False", "ReconcileFailed", text),
            condition("Ready", "False", "ReconcileFailed", text),
        ]

    running.update("InferenceService", EDGE, failed)
    assert hem("status") == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"{EDGE}: Failed, ReconcileFailed: {text}" in said


def test_a_model_that_does_not_load_has_failed(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    failure = {"reason": "ModelLoadFailed", "message": "no such bucket"}

    def failed(content: dict[str, Any]) -> None:
        content["status"]["modelStatus"] = {
            "transitionStatus": "BlockedByFailedLoad",
            "lastFailureInfo": failure,
        }

    running.update("InferenceService", EDGE, failed)
    assert hem("status", "--json") == 1
    part = parts(printed(capsys)[0])[EDGE]
    assert (part["reason"], part["message"]) == ("ModelLoadFailed", "no such bucket")


@pytest.mark.parametrize("kind", ["graph", "service"])
def test_ready_alone_is_not_believed_where_the_deployment_is_not_available(
    kind: str, running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    name = "shop-till-1" if kind == "graph" else f"{EDGE}-predictor"

    def unavailable(content: dict[str, Any]) -> None:
        content["status"]["conditions"] = [condition("Available", "False", "Gone", "no worker")]

    running.update("Deployment", name, unavailable)
    assert hem("status", "--json") == 3
    assert parts(printed(capsys)[0])[name.removesuffix("-predictor")]["message"] == "no worker"


def test_a_deployment_that_has_changed_is_rolling_out(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    def seen_before(content: dict[str, Any]) -> None:
        content["status"]["observedGeneration"] = 1
        content["spec"]["replicas"] = 2

    running.update("Deployment", f"{EDGE}-predictor", seen_before)
    assert hem("status", "--json") == 3
    assert parts(printed(capsys)[0])[EDGE]["reason"] == "RollingOut"


def test_an_llm_inference_service_is_a_part_like_others(
    running: ApiServer, hem: Hem, capsys: Capture
) -> None:
    kinds = {"LLMInferenceService": ("llminferenceservices", True)}
    running.kinds["serving.kserve.io/v1alpha2"] = kinds
    own = {"kserve-hem.io/owner": "shop", "app.kubernetes.io/component": "cloud"}
    running.put(
        {
            "apiVersion": "serving.kserve.io/v1alpha2",
            "kind": "LLMInferenceService",
            "metadata": {"name": "large", "labels": own},
            "status": {"conditions": [condition("Ready", "True")]},
        }
    )
    labels = {"app.kubernetes.io/name": "large", "app.kubernetes.io/part-of": "llminferenceservice"}
    running.put(pod("large-kserve", labels))
    assert hem("status", "--json") == 0
    part = parts(printed(capsys)[0])["large"]
    assert (part["condition"], part["side"], part["active"]) == ("Running", "cloud", 1)
