"""What the API server itself fills in, so that what is made compares with what was stored."""

import copy
import json
from typing import Any

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_PROBE = {"failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1, "timeoutSeconds": 1}
_BEHAVIOUR = {
    "scaleDown": {
        "policies": [{"periodSeconds": 15, "type": "Percent", "value": 100}],
        "selectPolicy": "Max",
    },
    "scaleUp": {
        "policies": [
            {"periodSeconds": 15, "type": "Pods", "value": 4},
            {"periodSeconds": 15, "type": "Percent", "value": 100},
        ],
        "selectPolicy": "Max",
        "stabilizationWindowSeconds": 0,
    },
}


def stored(content: dict[str, Any]) -> dict[str, Any]:
    """A made object with the API server's defaults."""
    made = copy.deepcopy(content)
    spec = made["spec"]
    if made["kind"] == "Deployment":
        spec |= {"progressDeadlineSeconds": 600, "revisionHistoryLimit": 10}
        rolling = {"maxSurge": "25%", "maxUnavailable": "25%"}
        spec.setdefault("strategy", {"type": "RollingUpdate", "rollingUpdate": rolling})
        _fill_pod(spec["template"]["spec"])
    elif made["kind"] == "Service":
        common = {
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack",
            "sessionAffinity": "None",
            "type": "ClusterIP",
        }
        made["spec"] = {**common, **spec}
    elif made["kind"] == "HorizontalPodAutoscaler":
        made["spec"] = {"behavior": _BEHAVIOUR, **spec}
    return made


def _fill_pod(pod: dict[str, Any]) -> None:
    defaults = {
        "dnsPolicy": "ClusterFirst",
        "restartPolicy": "Always",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    for name, value in defaults.items():
        pod.setdefault(name, value)
    if "serviceAccountName" in pod:
        pod["serviceAccount"] = pod["serviceAccountName"]
    for container in pod["containers"]:
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        for name in ("startupProbe", "livenessProbe", "readinessProbe"):
            if name in container:
                container[name] = {**_PROBE, **container[name]}
                if "httpGet" in container[name]:
                    container[name]["httpGet"].setdefault("scheme", "HTTP")
        for entry in container.get("env", []):
            reference = entry.get("valueFrom", {}).get("fieldRef")
            if reference is not None:
                reference.setdefault("apiVersion", "v1")


def comparable(content: dict[str, Any]) -> dict[str, Any]:
    """Without kubectl's own copies, in one namespace, with a graph's JSON read."""
    made = copy.deepcopy(content)
    parts = [made["metadata"], made["spec"].get("template", {}).get("metadata", {})]
    for part in parts:
        part.get("annotations", {}).pop(LAST_APPLIED, None)
        part.pop("namespace", None)
    for container in made["spec"].get("template", {}).get("spec", {}).get("containers", []):
        words = container.get("args", [])
        if words[:1] == ["--graph-json"]:
            container["args"] = ["--graph-json", json.loads(words[1])]
    return made
