"""The model of KServe against what its controller made (0.20.0, Standard mode)."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from inferencegraph.check.reconciled.installation import Installation
from inferencegraph.check.reconciled.site import reconciled
from inferencegraph.read.kustomize import load

SITES: Final = {
    "answer-generation-inference-then-mining": "answer-generation/inference-then-mining",
    "answer-generation-mining-then-inference": "answer-generation/mining-then-inference",
    "digit-recognition": "digit-recognition",
    "runtimes-examples": "runtimes/examples",
}
MANIFESTS: Final = Path(__file__).resolve().parents[4] / "manifests"
# Where these values stand, the API server put them; its objects have them all.
PROBES: Final = "spec.template.spec.containers.*.{}Probe"
API_DEFAULTS: Final = {
    "spec.replicas": 1,
    "spec.template.spec.serviceAccount": "s3-reader",  # the old name of serviceAccountName
    "spec.template.spec.containers.*.env.*.valueFrom.fieldRef.apiVersion": "v1",
    **{
        f"{PROBES.format(kind)}.{field}": value
        for kind in ("liveness", "readiness", "startup")
        for field, value in (
            ("httpGet.scheme", "HTTP"),
            ("successThreshold", 1),
            ("failureThreshold", 3),
        )
    },
    # Of a Service.
    "spec.internalTrafficPolicy": "Cluster",
    "spec.ipFamilies": ["IPv4"],
    "spec.ipFamilyPolicy": "SingleStack",
    "spec.sessionAffinity": "None",
    "spec.type": "ClusterIP",
    # Of an autoscaler, for the empty one that KServe writes.
    "spec.behavior": {
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
    },
}
# What kubectl writes down of its own doing; KServe passes it on from graphs.
OF_KUBECTL: Final = "kubectl.kubernetes.io/last-applied-configuration"
# KServe 0.20.0 deletes the workers of a model over several nodes at every reconcile (kserve
# #6113), so that it is never ready and gets no Ingress.
DELETED: Final = {
    ("Deployment", "qwen-large-predictor-worker"),
    ("Ingress", "qwen-large"),
}
# What later work changed in the manifests: where, as a pattern, and why.
POD: Final = r"spec\.(predictor|transformer)"
CONTAINER: Final = rf"({POD}|spec|spec\.workerSpec)\.containers\.[a-z-]+"
LATER: Final = {
    r"metadata\.labels(\.(app\.kubernetes\.io|hem\.kserve\.io|kserve-hem\.io)/.*)?": (
        "the common labels"
    ),
    rf"{POD}\.(model|containers|maxReplicas)": "a model without storageUri is one of many",
    rf"{POD}\.annotations": "Prometheus finds the pods",
    rf"{POD}\.automountServiceAccountToken": "nothing asks the API server",
    rf"{POD}\.enableServiceLinks": "hundreds of sites in one namespace",
    rf"{POD}\.imagePullSecrets": "a registry that wants a secret",
    rf"{POD}\.terminationGracePeriodSeconds": "what generates may finish",
    rf"{CONTAINER}\.lifecycle": "Triton closes its port at once",
    rf"{POD}\.deploymentStrategy": "an edge node has room for one",
    rf"{CONTAINER}\.env\.HEM_(EDGE_URL|CLOUD_URL|API_KEYS_FILE)": "the gateway",
    rf"{CONTAINER}\.securityContext(\.(readOnlyRootFilesystem|privileged|seccompProfile))?": (
        "no pod writes to its root; the restricted profile"
    ),
    rf"{CONTAINER}\.securityContext\.runAs(User|NonRoot)": "vLLM's image has a user",
    r"spec\.supportedModelFormats\.(pytorch|torchscript)": "Triton's PyTorch models",
    r"data\.ollama-gpu": "Ollama on GPUs",
    r"data\.(llama-cpp|lmdeploy|ollama|sglang)": "images by version",
    r"spec\.containers\.kserve-container\.image": "the same",
    rf"{CONTAINER}\.volumeMounts(\..*)?": "/tmp for caches; the gateway's keys; one name for shm",
    rf"({POD}|spec|spec\.workerSpec)\.volumes(\..*)?": "the same",
}

# What was not there when it was recorded.
NEW: Final = {("ServingRuntime", "ollama-gpu")}

Key = tuple[str, str]


def _key(content: Mapping[str, Any]) -> Key:
    return content["kind"], content["metadata"]["name"]


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    """Without what the API server and kubectl added; a graph's JSON as what it says."""
    for path, default in API_DEFAULTS.items():
        _remove(content, path.split("."), default)
    metadata = [content["metadata"]]
    if content["kind"] == "Deployment":
        metadata.append(content["spec"]["template"]["metadata"])
        for container in content["spec"]["template"]["spec"]["containers"]:
            if container.get("args", [""])[0] == "--graph-json":
                container["args"][1] = json.loads(container["args"][1])
    for part in metadata:
        part["annotations"].pop(OF_KUBECTL, None)
    return content


def _remove(part: Any, path: list[str], default: Any) -> None:
    name, rest = path[0], path[1:]
    if name == "*":
        for item in part:
            _remove(item, rest, default)
    elif isinstance(part, dict) and name in part:
        if rest:
            _remove(part[name], rest, default)
        elif part[name] in (default, {}):
            del part[name]


def _inputs(shared: Path, site: str) -> list[dict[str, Any]]:
    path = shared / f"conformance/reconciled/input/{site}.yaml"
    if not path.is_file():
        pytest.skip(f"{path} is absent")
    return list(yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))


@pytest.mark.parametrize("site", SITES)
def test_the_model_makes_what_the_controller_made(site: str, shared: Path) -> None:
    made = reconciled(_inputs(shared, site), Installation(ingress_class="nginx"))
    # Each site had a namespace of its name, which the recordings have for pods alone.
    text = (shared / f"conformance/reconciled/{site}.yaml").read_text().replace(site, "default")
    recorded = list(yaml.load_all(text, Loader=yaml.CSafeLoader))
    expected = {_key(content): _plain(content) for content in recorded}
    found = {_key(content): _plain(copy.deepcopy(content)) for content in made}
    lost = DELETED if site == "runtimes-examples" else set()
    assert found.keys() - expected.keys() == lost
    assert {key: found.get(key) for key in expected} == expected


def _differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    before, after = _named(before), _named(after)
    if isinstance(before, dict) and isinstance(after, dict):
        for name in sorted(before.keys() | after.keys()):
            at = f"{path}.{name}".strip(".")
            if name in before and name in after:
                yield from _differences(before[name], after[name], at)
            else:
                yield at
    elif before != after:
        yield path


def _named(value: Any) -> Any:
    """A list of things with names, by their names (mounts by their paths)."""
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        return value
    names = [item.get("mountPath") or item.get("name") for item in value]
    return dict(zip(names, value, strict=True)) if all(names) else value


def test_the_manifests_differ_from_what_was_recorded_only_in_what_came_later(shared: Path) -> None:
    found = set()
    for site, folder in SITES.items():
        before = {_key(content): content for content in _inputs(shared, site)}
        after = {_key(content): content for content in load(MANIFESTS / folder)}
        assert before.keys() == after.keys() - NEW
        for key, content in before.items():
            found.update(_differences(content, after[key]))
    reasons = {path: [p for p in LATER if re.fullmatch(p, path)] for path in found}
    assert [path for path, matched in reasons.items() if not matched] == []
    assert {pattern for matched in reasons.values() for pattern in matched} == LATER.keys()
