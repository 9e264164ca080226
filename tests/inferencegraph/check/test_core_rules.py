"""The API server's rules on pods, one change of a good site each."""

import copy
from typing import Any

import pytest

from inferencegraph.build.sites import QUERY_STAGE
from inferencegraph.check.validate import validate
from inferencegraph.spec.examples import example

EDGE = example(QUERY_STAGE)["edge.yaml"]
GRAPH = example(QUERY_STAGE)["graph.yaml"]
_C = "containers[0]"
_SKEW = {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
_TERM = {"labelSelector": {"matchLabels": {"a": "b"}}}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def _affinity(expression: dict[str, Any]) -> dict[str, Any]:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    return {"nodeAffinity": {_REQUIRED: terms}}


def _volume(source: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"name": "tmp", "emptyDir": {}}, {"name": "v", **source}]


# Path in the predictor, what is put there, the field of the finding, a part of its message.
BAD: list[tuple[str, Any, str, str]] = [
    (f"{_C}.image", " x", f"{_C}.image", "blanks"),
    (f"{_C}.image", "", f"{_C}.image", "is missing"),
    (f"{_C}.imagePullPolicy", "always", f"{_C}.imagePullPolicy", "did you mean 'Always'"),
    (f"{_C}.terminationMessagePolicy", "Log", f"{_C}.terminationMessagePolicy", "known: Fall"),
    (f"{_C}.ports[0].containerPort", 65536, f"{_C}.ports[0].containerPort", "1 to 65535"),
    (f"{_C}.ports[0].name", "8080", f"{_C}.ports[0].name", "at least one letter"),
    (f"{_C}.ports[0].name", "a--b", f"{_C}.ports[0].name", "single -"),
    (f"{_C}.ports[0].protocol", "HTTP", f"{_C}.ports[0].protocol", "known: SCTP"),
    (f"{_C}.ports[1].name", "http", f"{_C}.ports[1].name", "another port"),
    (f"{_C}.ports[1].containerPort", 8080, f"{_C}.ports[1]", "stand there twice"),
    (f"{_C}.env[0].name", "PREDICTOR_TEMPERATURE", f"{_C}.env[2].name", "another variable"),
    (f"{_C}.env[0].name", "", f"{_C}.env[0].name", "is missing"),
    (f"{_C}.env[0].value", 2, f"{_C}.env[0].value", "must be a string"),
    (f"{_C}.env[0]", {"name": "A", "valueFrom": {}}, f"{_C}.env[0].valueFrom", "no source"),
    (
        f"{_C}.env[0]",
        {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "status.ip"}}},
        f"{_C}.env[0].valueFrom.fieldRef.fieldPath",
        "known: metadata.name",
    ),
    (
        f"{_C}.env[0]",
        {"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}},
        f"{_C}.env[0].valueFrom.secretKeyRef.key",
        "is missing",
    ),
    (
        f"{_C}.env[0]",
        {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "S", "key": "k"}}},
        f"{_C}.env[0].valueFrom.configMapKeyRef.name",
        "must be a-z",
    ),
    (
        f"{_C}.env[0]",
        {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.gpu"}}},
        f"{_C}.env[0].valueFrom.resourceFieldRef.resource",
        "known: limits.cpu",
    ),
    (f"{_C}.envFrom", [{}], f"{_C}.envFrom[0]", "no source"),
    (f"{_C}.envFrom", [{"secretRef": {}}], f"{_C}.envFrom[0].secretRef.name", "is missing"),
    (f"{_C}.volumeMounts[0].name", "tmq", f"{_C}.volumeMounts[0].name", "no volume 'tmq'"),
    (f"{_C}.volumeMounts[0].mountPath", "/a:b", f"{_C}.volumeMounts[0].mountPath", "contain :"),
    (f"{_C}.volumeMounts[0].subPath", "../x", f"{_C}.volumeMounts[0].subPath", "no .."),
    (
        f"{_C}.volumeMounts[0].mountPropagation",
        "Bidirectional",
        f"{_C}.volumeMounts[0].mountPropagation",
        "privileged",
    ),
    (f"{_C}.securityContext.privileged", True, f"{_C}.securityContext.allow", "privileged: true"),
    (f"{_C}.securityContext.runAsUser", -1, f"{_C}.securityContext.runAsUser", "0 or more"),
    (f"{_C}.securityContext.seccompProfile.type", "Any", f"{_C}.securityContext.seccomp", "known"),
    (
        f"{_C}.securityContext.seccompProfile.type",
        "Localhost",
        f"{_C}.securityContext.seccompProfile.localhostProfile",
        "type Localhost",
    ),
    (f"{_C}.resources.requests.cpu", "2", f"{_C}.resources.requests.cpu", "above its limit 1"),
    (f"{_C}.resources.requests.cpu", "-1", f"{_C}.resources.requests.cpu", "0 or more"),
    (f"{_C}.resources.limits.memory", "2Gb", f"{_C}.resources.limits.memory", "not a quantity"),
    (f"{_C}.resources.limits.gpu", "1", f"{_C}.resources.limits.gpu", "unknown resource 'gpu'"),
    (f"{_C}.resources.limits.a/b", "0.5", f"{_C}.resources.limits.a/b", "whole ones"),
    (f"{_C}.resources.requests.a/b", "1", f"{_C}.resources.limits", "has no limit"),
    (f"{_C}.readinessProbe.httpGet.port", 0, f"{_C}.readinessProbe.httpGet.port", "1 to 65535"),
    (f"{_C}.readinessProbe.httpGet.port", "A", f"{_C}.readinessProbe.httpGet.port", "must be a-z"),
    (f"{_C}.readinessProbe.httpGet.scheme", "http", f"{_C}.readinessProbe.httpGet.s", "HTTPS"),
    (f"{_C}.readinessProbe.tcpSocket", {"port": 1}, f"{_C}.readinessProbe", "takes one handler"),
    (f"{_C}.readinessProbe", {"exec": {}}, f"{_C}.readinessProbe.exec.command", "is missing"),
    (f"{_C}.readinessProbe", {"periodSeconds": 1}, f"{_C}.readinessProbe", "no handler"),
    (f"{_C}.startupProbe.successThreshold", 3, f"{_C}.startupProbe.successThreshold", "be 1"),
    (f"{_C}.livenessProbe.failureThreshold", -1, f"{_C}.livenessProbe.failureThr", "0 or more"),
    (f"{_C}.livenessProbe.terminationGracePeriodSeconds", 0, f"{_C}.livenessProbe.t", "1 or more"),
    (f"{_C}.readinessProbe.terminationGracePeriodSeconds", 5, f"{_C}.readinessPr", "no meaning"),
    (f"{_C}.lifecycle", {"preStop": {}}, f"{_C}.lifecycle.preStop", "no handler"),
    (f"{_C}.restartPolicy", "Never", f"{_C}.restartPolicy", "is for init containers"),
    ("volumes[0].name", "Tmp", "volumes[0].name", "must be a-z"),
    ("volumes", _volume({}), "volumes[1]", "no source"),
    ("volumes", _volume({"secret": {}}), "volumes[1].secret.secretName", "is missing"),
    ("volumes", _volume({"configMap": {}}), "volumes[1].configMap.name", "is missing"),
    ("volumes", _volume({"hostPath": {"path": ""}}), "volumes[1].hostPath.path", "is missing"),
    (
        "volumes",
        _volume({"hostPath": {"path": "/a", "type": "Dir"}}),
        "volumes[1].hostPath.type",
        "unknown type",
    ),
    (
        "volumes",
        _volume({"persistentVolumeClaim": {}}),
        "volumes[1].persistentVolumeClaim.claimName",
        "is missing",
    ),
    ("volumes", _volume({"emptyDir": {"medium": "Ram"}}), "volumes[1].emptyDir.medium", "known"),
    (
        "volumes",
        _volume({"secret": {"secretName": "s", "defaultMode": 1000}}),
        "volumes[1].secret.defaultMode",
        "0777",
    ),
    (
        "volumes",
        _volume({"secret": {"secretName": "s", "items": [{"key": "k", "path": "/a"}]}}),
        "volumes[1].secret.items[0].path",
        "below the volume",
    ),
    ("initContainers", [{"name": "i"}], "initContainers[0].image", "is missing"),
    (
        "initContainers",
        [{"name": "i", "image": "x", "livenessProbe": {"exec": {"command": ["a"]}}}],
        "initContainers[0].livenessProbe",
        "as it ends",
    ),
    ("restartPolicy", "OnFailure", "restartPolicy", "known: Always"),
    ("dnsPolicy", "Cluster", "dnsPolicy", "unknown policy"),
    ("dnsPolicy", "None", "dnsConfig.nameservers", "at least one"),
    ("nodeName", "A B", "nodeName", "must be a-z"),
    ("serviceAccountName", "A", "serviceAccountName", "must be a-z"),
    ("hostname", "a.b", "hostname", "must be a-z"),
    ("hostAliases", [{"ip": "1.2.3"}], "hostAliases[0].ip", "not an IP"),
    ("terminationGracePeriodSeconds", -1, "terminationGracePeriodSeconds", "0 or more"),
    ("activeDeadlineSeconds", 5, "activeDeadlineSeconds", "have none"),
    ("nodeSelector", {"a b": "c"}, "nodeSelector.a b", "the label 'a b'"),
    ("tolerations", [{"operator": "Equal"}], "tolerations[0].operator", "no key"),
    ("tolerations", [{"key": "a", "effect": "No"}], "tolerations[0].effect", "unknown effect"),
    ("tolerations", [{"key": "a", "value": "b c"}], "tolerations[0].value", "must be letters"),
    (
        "tolerations",
        [{"key": "a", "operator": "Exists", "value": "b"}],
        "tolerations[0].value",
        "must be empty",
    ),
    ("topologySpreadConstraints", [{**_SKEW, "maxSkew": 0}], "topologySpreadC", "1 or more"),
    ("topologySpreadConstraints", [_SKEW, _SKEW], "topologySpreadConstraints[1]", "twice"),
    (
        "topologySpreadConstraints",
        [{**_SKEW, "whenUnsatisfiable": "Wait"}],
        "topologySpreadConstraints[0].whenUnsatisfiable",
        "known: DoNot",
    ),
    ("affinity", _affinity({"key": "a", "operator": "in"}), "affinity.nodeAff", "unknown op"),
    ("affinity", _affinity({"key": "a", "operator": "In"}), "affinity.nodeAff", "needs some"),
    ("affinity", {"nodeAffinity": {_REQUIRED: {}}}, "affinity.nodeAffinity", "is missing"),
    ("affinity", {"podAffinity": {_REQUIRED: [_TERM]}}, "affinity.podAffinity", "is missing"),
    (
        "affinity",
        {"podAntiAffinity": {_PREFERRED: [{"weight": 101, "podAffinityTerm": _TERM}]}},
        "affinity.podAntiAffinity",
        "from 1 to 100",
    ),
    ("deploymentStrategy", {"type": "Rolling"}, "deploymentStrategy.type", "unknown strategy"),
    (
        "deploymentStrategy",
        {"type": "Recreate", "rollingUpdate": {}},
        "deploymentStrategy.rollingUpdate",
        "does not go with",
    ),
    (
        "deploymentStrategy",
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}},
        "deploymentStrategy.rollingUpdate",
        "both 0",
    ),
    (
        "deploymentStrategy",
        {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "many"}},
        "deploymentStrategy.rollingUpdate.maxSurge",
        "neither a number",
    ),
    ("labels", {"a": "x" * 64}, "labels.a", "64 characters"),
    ("annotations", {"a b": "x"}, "annotations.a b", "the annotation 'a b'"),
    ("minReplicas", 3, "minReplicas", "above maxReplicas 1"),
    ("minReplicas", -1, "minReplicas", "0 or more"),
    ("containerConcurrency", -1, "containerConcurrency", "0 or more"),
    ("logger", {"mode": "some"}, "logger.mode", "unknown mode"),
    ("scaleMetric", "gpu", "scaleMetric", "unknown metric"),
    ("model", {"modelFormat": {"name": "a"}}, "", "takes exactly one"),
    ("storageUris", [], "storageUris", "is empty"),
    ("storageUris", [{"uri": "s3://a", "mountPath": "/"}], "storageUris[0].mountPath", "absolute"),
]


def _put(part: Any, path: str, value: Any) -> None:
    """Sets `a.b[0].c` in mappings and lists; what stands behind `limits.` is one name."""
    names = path.replace("[", ".[").split(".")
    for name in names[:-1]:
        part = part[int(name[1:-1])] if name.startswith("[") else part.setdefault(name, {})
    last = names[-1]
    part[int(last[1:-1]) if last.startswith("[") else last] = value


@pytest.mark.parametrize(
    ("path", "value", "field", "message"), BAD, ids=[f"{b[0]}-{b[3]}" for b in BAD]
)
def test_what_the_api_server_would_refuse_is_an_error_at_its_field(
    path: str, value: Any, field: str, message: str
) -> None:
    service = copy.deepcopy(EDGE)
    _put(service["spec"]["predictor"], path, value)
    errors = [each for each in validate([service]) if each.severity == "error"]
    assert [each for each in errors if message in each.message], errors
    assert errors[0].field.startswith(f"spec.predictor.{field}".removesuffix("."))


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("resources.requests.cpu", "300m", "above its limit"),
        ("tolerations", [{"key": "a", "operator": "Is"}], "unknown operator"),
        ("nodeSelector", {"a": "b c"}, "must be letters"),
        ("serviceAccountName", "A B", "must be a-z"),
        ("affinity", _affinity({"key": "a", "operator": "Gt", "values": ["x"]}), "whole number"),
    ],
)
def test_so_it_is_with_a_graphs_own_pod(path: str, value: Any, message: str) -> None:
    graph = copy.deepcopy(GRAPH)
    _put(graph["spec"], path, value)
    (found,) = [each for each in validate([graph]) if each.severity == "error"]
    assert message in found.message
    assert found.field.startswith(f"spec.{path.partition('[')[0]}")
