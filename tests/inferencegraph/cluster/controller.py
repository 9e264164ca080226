"""What KServe's controller and the kubelets do, as far as a status shows it."""

from collections.abc import Mapping
from typing import Any

from inferencegraph.check.reconciled.site import reconciled
from tests.inferencegraph.cluster.api_server import ApiServer

WHEN = "2026-08-21T10:00:00Z"


def condition(kind: str, status: str, reason: str = "", message: str = "") -> dict[str, str]:
    about = {"type": kind, "status": status, "lastTransitionTime": WHEN}
    about |= {"reason": reason} if reason else {}
    return about | ({"message": message} if message else {})


def reconcile(server: ApiServer) -> None:
    """Makes the Deployments, with one ready pod each, and says Ready everywhere."""
    contents = [
        *server.objects("InferenceService").values(),
        *server.objects("InferenceGraph").values(),
    ]
    for content in reconciled(contents):
        if content["kind"] != "Deployment":
            continue
        labels = content["metadata"]["labels"]
        content["status"] = {
            "availableReplicas": 1,
            "conditions": [condition("Available", "True", "MinimumReplicasAvailable")],
        }
        server.put(content, "manager")
        server.put(pod(content["metadata"]["name"], labels), "kubelet")
    for content in contents:
        make_ready(server, content["kind"], content["metadata"]["name"])


def make_ready(server: ApiServer, kind: str, name: str) -> None:
    def change(content: dict[str, Any]) -> None:
        content["status"] = {
            "conditions": [condition("PredictorReady", "True"), condition("Ready", "True")],
            "url": f"http://{name}.default.svc.cluster.local",
            "observedGeneration": 1,
        }

    server.update(kind, name, change)


def pod(name: str, labels: Mapping[str, str], **status: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-1", "labels": dict(labels)},
        "spec": {},
        "status": {"phase": "Running", "conditions": [condition("Ready", "True")], **status},
    }
