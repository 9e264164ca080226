"""The shop of `SPEC` on the cluster: names of its objects, its parts in a status, and what happens
to its pods."""

from typing import Any

from tests.inferencegraph.cluster.api_server import ApiServer
from tests.inferencegraph.cluster.controller import condition

OWNER = "kserve-hem.io/owner"
SERVICES = [
    *(f"shop-till-{node}-{part}" for node in (1, 2) for part in ("edge", "hem", "uplink")),
    "shop-cloud",
]
HEM_POD = "shop-till-1-hem-predictor-1"
EDGE_POD = "shop-till-1-edge-predictor-1"
EDGE = "shop-till-1-edge"


def parts(status: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {part["name"]: part for site in status["sites"] for part in site["parts"]}


def not_ready(server: ApiServer, name: str = EDGE) -> None:
    """As while its only pod is not ready."""

    def unavailable(content: dict[str, Any]) -> None:
        content["status"] = {
            "unavailableReplicas": 1,
            "conditions": [condition("Available", "False", "MinimumReplicasUnavailable")],
        }

    def waits(content: dict[str, Any]) -> None:
        content["status"]["conditions"] = [
            condition("PredictorReady", "False", "MinimumReplicasUnavailable"),
            condition("Ready", "False", "MinimumReplicasUnavailable"),
        ]

    server.update("Deployment", f"{name}-predictor", unavailable)
    server.update("InferenceService", name, waits)


WAITING = {"name": "kserve-container", "restartCount": 3}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [{**WAITING, "state": state, **more}]}
