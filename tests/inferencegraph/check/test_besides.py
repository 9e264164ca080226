"""Objects beside the models: what Kubernetes would refuse of them is found."""

import copy
from typing import Any

import pytest

from inferencegraph.check.validate import validate

Object = dict[str, Any]
PORTS = [{"protocol": "TCP", "port": 8080}]
BACKEND = {"service": {"name": "qa", "port": {"number": 80}}}
GOOD: dict[str, Object] = {
    "PodDisruptionBudget": {
        "apiVersion": "policy/v1",
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app": "qa"}}},
    },
    "NetworkPolicy": {
        "apiVersion": "networking.k8s.io/v1",
        "spec": {
            "podSelector": {"matchLabels": {"app": "qa"}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"from": [{"podSelector": {}}], "ports": PORTS}],
            "egress": [
                {"to": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]},
                {"ports": [{"port": "http"}, {"port": 1, "endPort": 2}]},
            ],
        },
    },
    "Ingress": {
        "apiVersion": "networking.k8s.io/v1",
        "spec": {
            "rules": [
                {
                    "host": "*.example.com",
                    "http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": BACKEND}]},
                }
            ],
            "tls": [{"hosts": ["*.example.com"], "secretName": "tls"}],
        },
    },
    "PersistentVolumeClaim": {
        "apiVersion": "v1",
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    },
    "ServiceAccount": {"apiVersion": "v1", "automountServiceAccountToken": False},
    "Secret": {"apiVersion": "v1", "stringData": {"key": "a"}},
    "ConfigMap": {"apiVersion": "v1", "data": {"key": "a"}},
    "HTTPRoute": {"apiVersion": "gateway.networking.k8s.io/v1", "spec": {}},
    "PodMonitor": {"apiVersion": "monitoring.coreos.com/v1", "spec": {}},
    "ServiceMonitor": {"apiVersion": "monitoring.coreos.com/v1", "spec": {}},
}


def _object(kind: str) -> Object:
    return {"kind": kind, "metadata": {"name": "qa"}, **copy.deepcopy(GOOD[kind])}


def _changed(content: Object, path: str, value: Any) -> Object:
    """The object with another value at `spec.rules.0.host`; None takes the field away."""
    *way, last = path.split(".")
    part: Any = content
    for name in way:
        part = part[int(name)] if isinstance(part, list) else part.setdefault(name, {})
    if value is None:
        del part[last]
    elif isinstance(part, list):
        part[int(last)] = value
    else:
        part[last] = value
    return content


@pytest.mark.parametrize("kind", GOOD)
def test_what_kubernetes_takes_is_not_even_noted(kind: str) -> None:
    assert validate([_object(kind)]) == []


@pytest.mark.parametrize("kind", GOOD)
def test_each_needs_a_name_that_kubernetes_takes(kind: str) -> None:
    for name, message in ((None, "is missing"), ("A_b", "use a-z"), ("a" * 254, "at most 253")):
        (found,) = validate([_changed(_object(kind), "metadata.name", name)])
        assert (found.severity, found.field) == ("error", "metadata.name")
        assert message in found.message


PATH = "spec.rules.0.http.paths.0"
BAD: list[tuple[str, str, Any, str]] = [
    ("PodDisruptionBudget", "spec.minAvailable", 1, "give one"),
    ("PodDisruptionBudget", "spec.maxUnavailable", "half", "a number or a percentage"),
    ("PodDisruptionBudget", "spec.maxUnavailable", -1, "a number or a percentage"),
    ("PodDisruptionBudget", "spec.maxUnavailible", 1, "did you mean 'maxUnavailable'"),
    ("PodDisruptionBudget", "spec.selector.matchLabels.app", "a b", "label"),
    ("PodDisruptionBudget", "spec", None, "is missing"),
    ("NetworkPolicy", "spec.policyTypes.0", "ingress", "did you mean 'Ingress'"),
    ("NetworkPolicy", "spec.ingress.0.from.0", {}, "needs podSelector"),
    (
        "NetworkPolicy",
        "spec.ingress.0.from.0.ipBlock",
        {"cidr": "10.0.0.0/8"},
        "or ipBlock alone",
    ),
    ("NetworkPolicy", "spec.ingress.0.ports.0.port", 70000, "1 to 65535"),
    ("NetworkPolicy", "spec.ingress.0.ports.0.port", "Http", "use a-z"),
    ("NetworkPolicy", "spec.ingress.0.ports.0.protocol", "tcp", "known: SCTP, TCP, UDP"),
    ("NetworkPolicy", "spec.egress.1.ports.1.endPort", 1, None),
    ("NetworkPolicy", "spec.egress.1.ports.0.endPort", 9, "needs a port that is a number"),
    ("NetworkPolicy", "spec.egress.0.to.0.ipBlock.cidr", "10.0.0.1", "10.0.0.0/8"),
    ("NetworkPolicy", "spec.egress.0.to.0.ipBlock.except.0", "11.0.0.0/16", "a part of cidr"),
    ("NetworkPolicy", "spec.egress.0.to.0.ipBlock.cidr", None, "is missing"),
    ("NetworkPolicy", "spec.egress.0.form", [], "unknown field 'form'"),
    ("Ingress", "spec.rules.0.host", "https://a", "use a-z"),
    ("Ingress", "spec.rules.0.host", "10.0.0.1", "an address"),
    ("Ingress", "spec.tls.0.hosts.0", "a_b", "use a-z"),
    ("Ingress", f"{PATH}.path", "v1", "must begin with /"),
    ("Ingress", f"{PATH}.pathType", "prefix", "did you mean 'Prefix'"),
    ("Ingress", f"{PATH}.pathType", None, "is missing"),
    ("Ingress", f"{PATH}.backend", {}, "either service or resource"),
    ("Ingress", f"{PATH}.backend.service.port.number", 0, "1 to 65535"),
    ("Ingress", f"{PATH}.backend.service.port.number", 70000, "1 to 65535"),
    ("Ingress", f"{PATH}.backend.service.port.name", "http", "either a number or a name"),
    ("Ingress", f"{PATH}.backend.service.name", "1a", "a letter first"),
    ("Ingress", f"{PATH}.backend.service.name", None, "is missing"),
    ("Ingress", "spec.rules", None, "needs rules or a defaultBackend"),
    ("PersistentVolumeClaim", "spec.accessModes", None, "is missing"),
    ("PersistentVolumeClaim", "spec.resources.requests.storage", "1 GB", "not a quantity"),
    ("ServiceAccount", "automountServiceAccountToken", "no", "true or false"),
    ("Secret", "stringData.key", 1, "in quotes"),
    ("ConfigMap", "data.key", True, "in quotes"),
]


@pytest.mark.parametrize(("kind", "path", "value", "message"), BAD)
def test_what_kubernetes_refuses_is_one_error(
    kind: str, path: str, value: Any, message: str | None
) -> None:
    found = validate([_changed(_object(kind), path, value)])
    if message is None:
        assert found == []
        return
    (problem,) = found
    assert problem.severity == "error"
    assert message in problem.message
