"""Each change of a good service that Kubernetes refuses is told at its field, and none that it
takes is."""

import copy
import re
from typing import Any, Final

import pytest

from inferencegraph.check.validate import validate

C: Final = "spec.predictor.containers[0]"
P: Final = "spec.predictor"
GIB: Final = {"cpu": "1", "memory": "1Gi"}
SERVICE: Final = {
    "apiVersion": "serving.kserve.io/v1beta1",
    "kind": "InferenceService",
    "metadata": {
        "name": "qa-edge",
        "annotations": {"serving.kserve.io/deploymentMode": "Standard"},
    },
    "spec": {
        "predictor": {
            "minReplicas": 1,
            "containers": [
                {
                    "name": "kserve-container",
                    "image": "predictor:1",
                    "ports": [
                        {"containerPort": 8080, "name": "http"},
                        {"containerPort": 8081, "name": "grpc"},
                    ],
                    "env": [{"name": "PROTOCOL", "value": "v2"}],
                    "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
                    "readinessProbe": {"httpGet": {"path": "/", "port": 8080}},
                    "livenessProbe": {"httpGet": {"path": "/", "port": 8080}},
                    "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                    "resources": {"limits": dict(GIB), "requests": dict(GIB)},
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {}}],
            "tolerations": [{"key": "edge", "operator": "Exists", "effect": "NoSchedule"}],
        }
    },
}
NODES: Final = "requiredDuringSchedulingIgnoredDuringExecution"
PODS: Final = "preferredDuringSchedulingIgnoredDuringExecution"
SPREAD: Final = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}


def _asking(**more: Any) -> dict[str, Any]:
    """Resources of a container, with more limits or requests."""
    return {kind: {**GIB, **more.get(kind, {})} for kind in ("limits", "requests")}


def _expression(operator: str, **values: Any) -> dict[str, Any]:
    rule = {"key": "zone", "operator": operator, **values}
    return {"nodeAffinity": {NODES: {"nodeSelectorTerms": [{"matchExpressions": [rule]}]}}}


# Where the change is, what stands there then, where the error is told, and a word of it.
REFUSED: Final[list[tuple[str, Any, str, str]]] = [
    # containers
    (f"{C}.image", "", f"{C}.image", "is missing"),
    (f"{C}.image", "a:1 ", f"{C}.image", "blanks"),
    (f"{C}.imagePullPolicy", "always", f"{C}.imagePullPolicy", "Always"),
    (f"{C}.terminationMessagePolicy", "Log", f"{C}.terminationMessagePolicy", "File"),
    (f"{P}.containers[1]", {"name": "Side", "image": "a"}, f"{P}.containers[1].name", "a-z"),
    (f"{P}.containers[1]", {"name": "side"}, f"{P}.containers[1].image", "is missing"),
    (
        f"{P}.containers[1]",
        {"name": "kserve-container", "image": "a"},
        f"{P}.containers[1].name",
        "already",
    ),
    (
        f"{P}.containers",
        [{"name": "side", "image": "a"}, {"name": "kserve-container", "image": "a"}],
        f"{P}.containers",
        "write it first",
    ),
    # ports, and the Service's
    (f"{C}.ports[0].name", "HTTP", f"{C}.ports[0].name", "a-z"),
    (f"{C}.ports[0].name", "8080", f"{C}.ports[0].name", "letter"),
    (f"{C}.ports[0].name", "http--1", f"{C}.ports[0].name", "single -"),
    (f"{C}.ports[1].name", "http", f"{C}.ports[1].name", "twice"),
    (f"{C}.ports[1].name", "", f"{C}.ports[1].name", "several"),
    (f"{C}.ports[0].containerPort", 70000, f"{C}.ports[0].containerPort", "65535"),
    (f"{C}.ports[0].hostPort", -1, f"{C}.ports[0].hostPort", "65535"),
    (f"{C}.ports[0].protocol", "tcp", f"{C}.ports[0].protocol", "TCP"),
    (f"{C}.ports[1].containerPort", 80, f"{C}.ports[1]", "port 80 twice"),
    # environment
    (f"{C}.env[1]", {"name": "", "value": "1"}, f"{C}.env[1].name", "is missing"),
    (f"{C}.env[1]", {"name": "PROTOCOL", "value": "v2"}, f"{C}.env[1].name", "twice"),
    (f"{C}.env[1]", {"name": "A", "valueFrom": {}}, f"{C}.env[1].valueFrom", "needs one of"),
    (
        f"{C}.env[1]",
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}},
        f"{C}.env[1].valueFrom.secretKeyRef.key",
        "is missing",
    ),
    (
        f"{C}.env[1]",
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "A_b", "key": "k"}}},
        f"{C}.env[1].valueFrom.configMapKeyRef.name",
        "a-z",
    ),
    (
        f"{C}.env[1]",
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.ip"}}},
        f"{C}.env[1].valueFrom.fieldRef.fieldPath",
        "status.podIP",
    ),
    (
        f"{C}.env[1]",
        {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "cpu"}}},
        f"{C}.env[1].valueFrom.resourceFieldRef.resource",
        "cpu",
    ),
    (f"{C}.envFrom", [{"prefix": "A"}], f"{C}.envFrom[0]", "exactly one"),
    # mounts and volumes
    (f"{C}.volumeMounts[0].name", "tpm", f"{C}.volumeMounts[0].name", "did you mean 'tmp'"),
    (f"{C}.volumeMounts[0].subPath", "../a", f"{C}.volumeMounts[0].subPath", "relative"),
    (f"{C}.volumeMounts[0].subPath", "/a", f"{C}.volumeMounts[0].subPath", "relative"),
    (
        f"{C}.volumeMounts[1]",
        {"name": "tmp", "mountPath": "/tmp"},
        f"{C}.volumeMounts[1].mountPath",
        "twice",
    ),
    (
        f"{C}.volumeMounts[0].mountPropagation",
        "Bidirectional",
        f"{C}.volumeMounts[0].mountPropagation",
        "privileged",
    ),
    (f"{P}.volumes[1]", {"name": "A_b"}, f"{P}.volumes[1].name", "a-z"),
    (
        f"{P}.volumes[1]",
        {"name": "v", "hostPath": {"path": "/a", "type": "Dir"}},
        f"{P}.volumes[1].hostPath.type",
        "Directory",
    ),
    (
        f"{P}.volumes[1]",
        {"name": "v", "persistentVolumeClaim": {}},
        f"{P}.volumes[1].persistentVolumeClaim.claimName",
        "is missing",
    ),
    (
        f"{P}.volumes[1]",
        {"name": "v", "secret": {"secretName": "s", "defaultMode": 1000}},
        f"{P}.volumes[1].secret.defaultMode",
        "511",
    ),
    (
        f"{P}.volumes[1]",
        {"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "/k"}]}},
        f"{P}.volumes[1].configMap.items[0].path",
        "relative",
    ),
    (
        f"{P}.volumes[1]",
        {"name": "v", "projected": {"sources": [{}]}},
        f"{P}.volumes[1].projected.sources[0]",
        "exactly one",
    ),
    (
        f"{P}.volumes[1]",
        {"name": "v", "ephemeral": {"volumeClaimTemplate": {"spec": {"accessModes": ["RWO"]}}}},
        f"{P}.volumes[1].ephemeral.volumeClaimTemplate.spec.accessModes",
        "ReadWriteOnce",
    ),
    (
        f"{P}.volumes[0].emptyDir",
        {"sizeLimit": "-1Gi"},
        f"{P}.volumes[0].emptyDir.sizeLimit",
        "negative",
    ),
    # probes and hooks
    (f"{C}.readinessProbe.httpGet.port", 0, f"{C}.readinessProbe.httpGet.port", "1 to 65535"),
    (f"{C}.readinessProbe.httpGet.port", "8080", f"{C}.readinessProbe.httpGet.port", "quotes"),
    (f"{C}.readinessProbe.httpGet.scheme", "http", f"{C}.readinessProbe.httpGet.scheme", "HTTP"),
    (
        f"{C}.readinessProbe.httpGet.httpHeaders",
        [{"name": "a b", "value": "c"}],
        f"{C}.readinessProbe.httpGet.httpHeaders[0].name",
        "letters",
    ),
    (
        f"{C}.readinessProbe.terminationGracePeriodSeconds",
        5,
        f"{C}.readinessProbe.terminationGracePeriodSeconds",
        "must not be set",
    ),
    (
        f"{C}.livenessProbe.terminationGracePeriodSeconds",
        0,
        f"{C}.livenessProbe.terminationGracePeriodSeconds",
        "1 to",
    ),
    (f"{C}.startupProbe", {"exec": {}}, f"{C}.startupProbe.exec.command", "is missing"),
    (f"{C}.startupProbe", {"grpc": {"port": 0}}, f"{C}.startupProbe.grpc.port", "65535"),
    (f"{C}.lifecycle.preStop", {}, f"{C}.lifecycle.preStop", "needs one of"),
    (f"{C}.lifecycle.preStop.sleep.seconds", 31, f"{C}.lifecycle.preStop.sleep.seconds", "30"),
    (f"{C}.lifecycle.postStart", {"exec": {"command": []}}, f"{C}.lifecycle.postStart.exec", ""),
    # resources
    (
        f"{C}.resources",
        _asking(requests={"cpu": "1500m"}),
        f"{C}.resources.requests",
        "over its limit 1",
    ),
    (
        f"{C}.resources",
        _asking(requests={"memory": "2Gi"}),
        f"{C}.resources.requests",
        "over its limit",
    ),
    (
        f"{C}.resources",
        _asking(limits={"gpu": 1}),
        f"{C}.resources.limits",
        "unknown resource 'gpu'",
    ),
    (f"{C}.resources", _asking(limits={"nvidia/gpu/a": 1}), f"{C}.resources.limits", "prefix"),
    (f"{C}.resources", _asking(limits={"example/npu": "500m"}), f"{C}.resources.limits", "whole"),
    (
        f"{C}.resources",
        _asking(requests={"example/npu": 1}),
        f"{C}.resources.limits",
        "has no example/npu",
    ),
    (
        f"{C}.resources",
        _asking(limits={"hugepages-2Mi": "3Mi"}),
        f"{C}.resources.limits",
        "multiple",
    ),
    # What KServe adds where nothing is said: a request of one cpu, a limit of 2Gi.
    (f"{C}.resources", {"limits": {"cpu": "500m"}}, C, "what KServe adds"),
    (f"{C}.resources", {"requests": {"memory": "4Gi"}}, f"{C}.resources.requests", "limit 2Gi"),
    # security
    (f"{C}.securityContext.privileged", True, f"{C}.securityContext.privileged", "contradicts"),
    (
        f"{C}.securityContext.capabilities",
        {"add": ["CAP_SYS_ADMIN"]},
        f"{C}.securityContext.capabilities.add",
        "contradicts",
    ),
    (f"{C}.securityContext.runAsUser", -1, f"{C}.securityContext.runAsUser", "0 to"),
    (f"{C}.securityContext.procMount", "Masked", f"{C}.securityContext.procMount", "Unmasked"),
    (
        f"{C}.securityContext.seccompProfile.type",
        "Default",
        f"{C}.securityContext.seccompProfile.type",
        "RuntimeDefault",
    ),
    (
        f"{C}.securityContext.seccompProfile.type",
        "Localhost",
        f"{C}.securityContext.seccompProfile.localhostProfile",
        "is missing",
    ),
    (f"{P}.securityContext", {"fsGroup": -5}, f"{P}.securityContext.fsGroup", "0 to"),
    (
        f"{P}.securityContext",
        {"fsGroupChangePolicy": "Never"},
        f"{P}.securityContext.fsGroupChangePolicy",
        "Always",
    ),
    # init containers
    (
        f"{P}.initContainers",
        [{"name": "kserve-container", "image": "a"}],
        f"{P}.initContainers[0].name",
        "already",
    ),
    (
        f"{P}.initContainers",
        [{"name": "a", "image": "a", "readinessProbe": {"tcpSocket": {"port": 1}}}],
        f"{P}.initContainers[0].readinessProbe",
        "restartPolicy",
    ),
    (
        f"{P}.initContainers",
        [{"name": "a", "image": "a", "restartPolicy": "Never"}],
        f"{P}.initContainers[0].restartPolicy",
        "Always",
    ),
    # where pods run
    (f"{P}.tolerations[0].effect", "NoRun", f"{P}.tolerations[0].effect", "NoExecute"),
    (f"{P}.tolerations[0].value", "a", f"{P}.tolerations[0].value", "takes none"),
    (f"{P}.tolerations[0]", {"effect": "NoSchedule"}, f"{P}.tolerations[0].operator", "no key"),
    (f"{P}.tolerations[0].key", "a b", f"{P}.tolerations[0].key", "letters"),
    (f"{P}.nodeSelector", {"a/b/c": "d"}, f"{P}.nodeSelector", "prefix"),
    (f"{P}.nodeSelector", {"zone": "x" * 64}, f"{P}.nodeSelector", "64 characters"),
    (
        f"{P}.affinity",
        {"nodeAffinity": {NODES: {"nodeSelectorTerms": []}}},
        f"{P}.affinity.nodeAffinity.{NODES}.nodeSelectorTerms",
        "is missing",
    ),
    (f"{P}.affinity", _expression("Is", values=["a"]), f"{P}.affinity.*operator", "'Is'"),
    (f"{P}.affinity", _expression("In"), f"{P}.affinity.*values", "at least one"),
    (f"{P}.affinity", _expression("Exists", values=["a"]), f"{P}.affinity.*values", "none"),
    (f"{P}.affinity", _expression("Gt", values=["1", "2"]), f"{P}.affinity.*values", "exactly"),
    (
        f"{P}.affinity",
        {"podAntiAffinity": {PODS: [{"weight": 0, "podAffinityTerm": {"topologyKey": "a"}}]}},
        f"{P}.affinity.podAntiAffinity.*weight",
        "1 to 100",
    ),
    (
        f"{P}.affinity",
        {"podAffinity": {NODES: [{"labelSelector": {}}]}},
        f"{P}.affinity.podAffinity.*topologyKey",
        "is missing",
    ),
    (
        f"{P}.topologySpreadConstraints",
        [{**SPREAD, "whenUnsatisfiable": "Never"}],
        f"{P}.topologySpreadConstraints[0].whenUnsatisfiable",
        "DoNotSchedule",
    ),
    (
        f"{P}.topologySpreadConstraints",
        [{**SPREAD, "topologyKey": ""}],
        f"{P}.topologySpreadConstraints[0].topologyKey",
        "is missing",
    ),
    (
        f"{P}.topologySpreadConstraints",
        [SPREAD, SPREAD],
        f"{P}.topologySpreadConstraints[1]",
        "twice",
    ),
    # the pod
    (f"{P}.restartPolicy", "Never", f"{P}.restartPolicy", "Always"),
    (f"{P}.dnsPolicy", "clusterFirst", f"{P}.dnsPolicy", "ClusterFirst"),
    (f"{P}.dnsPolicy", "None", f"{P}.dnsConfig.nameservers", "at least one"),
    (f"{P}.dnsConfig", {"nameservers": ["dns"]}, f"{P}.dnsConfig.nameservers[0]", "IP address"),
    (f"{P}.hostAliases", [{"ip": "host"}], f"{P}.hostAliases[0].ip", "IP address"),
    (
        f"{P}.hostAliases",
        [{"ip": "10.0.0.1", "hostnames": ["a_b"]}],
        f"{P}.hostAliases[0].hostnames[0]",
        "a-z",
    ),
    (f"{P}.activeDeadlineSeconds", 60, f"{P}.activeDeadlineSeconds", "Deployment"),
    (f"{P}.priorityClassName", "High", f"{P}.priorityClassName", "a-z"),
    (f"{P}.hostname", "a.b", f"{P}.hostname", "a-z"),
    (f"{P}.runtimeClassName", "a b", f"{P}.runtimeClassName", "a-z"),
    (f"{P}.schedulingGates", [{"name": "a b"}], f"{P}.schedulingGates[0].name", "letters"),
    (f"{P}.labels", {"team": "a b"}, f"{P}.labels", "team is 'a b'"),
    (
        f"{P}.annotations",
        {"serving.kserve.io/deploymentMode": "Foo"},
        f"{P}.annotations.serving.kserve.io/deploymentMode",
        "unknown mode",
    ),
    (
        f"{P}.annotations",
        {"serving.kserve.io/autoscalerClass": "vpa"},
        f"{P}.annotations.serving.kserve.io/autoscalerClass",
        "unknown autoscaler",
    ),
    (f"{P}.annotations", {"a b": "c"}, f"{P}.annotations", "letters"),
    # the Deployment and the autoscaler
    (
        f"{P}.deploymentStrategy",
        {"type": "rolling"},
        f"{P}.deploymentStrategy.type",
        "RollingUpdate",
    ),
    (
        f"{P}.deploymentStrategy",
        {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}},
        f"{P}.deploymentStrategy.rollingUpdate",
        "Recreate",
    ),
    (
        f"{P}.deploymentStrategy",
        {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}},
        f"{P}.deploymentStrategy.rollingUpdate",
        "both 0",
    ),
    (
        f"{P}.deploymentStrategy",
        {"rollingUpdate": {"maxSurge": "1"}},
        f"{P}.deploymentStrategy.rollingUpdate.maxSurge",
        "percentage",
    ),
    (f"{P}.scaleTarget", 0, f"{P}.scaleTarget", "1 or more"),
    (f"{P}.name", "a" * 41, "metadata.name", "at most"),
    (f"{P}.name", "a_b", f"{P}.name", "a-z"),
    ("metadata.namespace", "n" * 50, "metadata.name", "host"),
]
TAKEN: Final[list[tuple[str, Any]]] = [
    (f"{C}.image", "Registry:5000/A@sha256:0"),
    (f"{C}.name", "main"),
    (f"{C}.ports", []),
    (f"{C}.env[1]", {"name": "a-b.c", "value": "5"}),
    (
        f"{C}.env[1]",
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['app']"}}},
    ),
    (f"{P}.volumes[1]", {"name": "v"}),
    (f"{P}.volumes[1]", {"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}),
    (f"{C}.readinessProbe.httpGet.port", "elsewhere"),
    (f"{C}.readinessProbe.successThreshold", 3),
    (f"{C}.lifecycle.preStop.sleep.seconds", 0),
    (f"{C}.resources", _asking(limits={"example.com/npu": 1})),
    (f"{C}.resources", _asking(limits={"cpu": 1.5})),
    (f"{C}.securityContext.runAsUser", 0),
    (f"{P}.tolerations", [{"operator": "Exists"}]),
    (f"{P}.nodeSelector", {"node-role.kubernetes.io/edge": ""}),
    (f"{P}.affinity", _expression("NotIn", values=["a"])),
    (f"{P}.topologySpreadConstraints", [SPREAD, {**SPREAD, "topologyKey": "host"}]),
    (f"{P}.deploymentStrategy", {"type": "Recreate"}),
    (f"{P}.deploymentStrategy", {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "50%"}}),
    (f"{P}.maxReplicas", 0),
    (f"{P}.initContainers", [{"name": "a", "image": "a", "command": ["true"]}]),
    (f"{P}.hostAliases", [{"ip": "10.0.0.1", "hostnames": ["a.b"]}]),
    (f"{P}.terminationGracePeriodSeconds", 300),
]


def _changed(path: str, value: Any) -> dict[str, Any]:
    """SERVICE with `value` at `path`, which may be one behind the end of a list."""
    service: dict[str, Any] = copy.deepcopy(SERVICE)
    steps = [int(n) if n else word for word, n in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path)]
    part: Any = service
    for step in steps[:-1]:
        part = part[step]
    if isinstance(part, list):
        part[steps[-1] :] = [value]
    else:
        part[steps[-1]] = value
    return service


def _errors(service: dict[str, Any]) -> list[tuple[str, str]]:
    found = validate([service])
    return [(problem.field, problem.message) for problem in found if problem.severity == "error"]


def test_the_service_itself_is_without_a_fault() -> None:
    assert validate([SERVICE]) == []


@pytest.mark.parametrize(("path", "value", "field", "words"), REFUSED)
def test_what_kubernetes_refuses_is_told_at_its_field(
    path: str, value: Any, field: str, words: str
) -> None:
    found = _errors(_changed(path, value))
    pattern = re.escape(field).replace(re.escape("*"), ".*")
    assert any(re.match(pattern, at) and words in message for at, message in found), found


@pytest.mark.parametrize(("path", "value"), TAKEN)
def test_what_kubernetes_takes_is_no_error(path: str, value: Any) -> None:
    assert _errors(_changed(path, value)) == []
