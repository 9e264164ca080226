"""A file with feedback has one replica that writes it."""

from typing import Any

import pytest

from inferencegraph.check.feedback import VARIABLE
from inferencegraph.check.validate import validate

FILE, SERVER = "/data/feedback.db", "postgresql://hem@db/feedback"


def faults(store: str, role: str = "predictor", **scale: int) -> list[str]:
    container: dict[str, Any] = {
        "name": "kserve-container",
        "image": "hem:1",
        "env": [{"name": "PROTOCOL", "value": "v2"}, {"name": VARIABLE, "value": store}],
    }
    component = {"containers": [container], **scale}
    spec = {"predictor": {"containers": [container]}, role: component}
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "qa-hem"},
        "spec": spec,
    }
    return [str(each) for each in validate([service]) if each.rule == "feedback"]


@pytest.mark.parametrize("role", ["predictor", "transformer"])
@pytest.mark.parametrize("scale", [{"minReplicas": 2}, {"minReplicas": 1, "maxReplicas": 3}])
def test_several_replicas_on_one_file_are_refused_with_the_way_out(
    role: str, scale: dict[str, int]
) -> None:
    (fault,) = faults(FILE, role, **scale)
    assert f"spec.{role}.containers[0].env" in fault and "PostgreSQL's URL" in fault
    assert f"there may be {max(scale.values())}" in fault


def moving(volume: dict[str, Any], **fields: Any) -> list[str]:
    """What is said of HEM with its file on this volume."""
    container: dict[str, Any] = {
        "name": "kserve-container",
        "image": "hem:1",
        "env": [{"name": VARIABLE, "value": FILE}, *fields.pop("env", [])],
        "volumeMounts": [{"name": "kept", "mountPath": "/data"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "kept", **volume}], **fields}
    service = {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "qa-hem"},
        "spec": {"predictor": pod},
    }
    found = [each for each in validate([service]) if each.rule == "feedback"]
    assert {each.severity for each in found} <= {"warning"}
    return [str(each) for each in found]


def test_a_file_in_a_folder_of_any_node_is_warned_of_with_the_ways_out() -> None:
    folder = {"hostPath": {"path": "/var/lib/hem"}}
    (said,) = moving(folder, nodeSelector={"node-role.kubernetes.io/edge": ""})
    assert "on whichever node the pod runs (hostPath)" in said
    assert "take a claim or PostgreSQL, or send it on by HEM_FEEDBACK_PUSH" in said
    assert not moving(folder, nodeSelector={"kubernetes.io/hostname": "till-1"})
    assert not moving(folder, env=[{"name": "HEM_FEEDBACK_PUSH", "value": "https://central"}])
    assert not moving({"persistentVolumeClaim": {"claimName": "kept"}})


def test_a_pod_is_bound_by_a_required_node_affinity_alone() -> None:
    folder = {"hostPath": {"path": "/var/lib/hem"}}
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": ["till-1"]}
    term = {"matchExpressions": [here]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    wish = {"weight": 1, "preference": term}
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [wish]}
    pods = {"labelSelector": {"matchLabels": {"app": "x"}}, "topologyKey": "zone"}
    apart = {"requiredDuringSchedulingIgnoredDuringExecution": [pods]}
    assert not moving(folder, affinity={"nodeAffinity": required})
    assert moving(folder, affinity={"nodeAffinity": preferred})
    assert moving(folder, affinity={"podAntiAffinity": apart})


def test_one_replica_or_postgresql_is_well() -> None:
    assert faults(FILE) == faults(FILE, minReplicas=1, maxReplicas=1) == []
    assert faults(SERVER, minReplicas=2, maxReplicas=5) == []
    assert faults("", minReplicas=2) == []
