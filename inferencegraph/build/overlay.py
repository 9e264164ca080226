"""A user's pod template over a component of an InferenceService, an LLMInferenceService, or an
InferenceGraph.

What the template says wins: entries with a name by their name, other lists are joined.

    model     the template's own pod: all of it
    mining    HEM: MINING_MODE, HEM_*, OTEL_* of the template's env, and what all pods there share
    beside    uplink: OTEL_* of the template's env; uplink and graph: what all pods there share
"""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from inferencegraph.build.pods import CONTAINER_NAME

Part = Literal["model", "mining", "beside"]
Object = dict[str, Any]

SIDECAR: Final = "transformer-container"  # HEM in the model's own pod
MINING_MODE: Final = "MINING_MODE"
# Where a pod may run, and what it needs to start and be reached there.
SHARED: Final = frozenset(
    {
        "affinity",
        "dnsConfig",
        "dnsPolicy",
        "hostAliases",
        "imagePullSecrets",
        "nodeName",
        "nodeSelector",
        "priorityClassName",
        "runtimeClassName",
        "schedulerName",
        "tolerations",
    }
)
# Of those, what an InferenceGraph has a field for.
OF_GRAPHS: Final = frozenset({"affinity", "nodeName", "nodeSelector", "tolerations"})
# What is carried over of a container. Image, command, ports and probes are the engine's;
# `resources` is a part of the spec.
OF_CONTAINERS: Final = frozenset(
    {
        "env",
        "envFrom",
        "imagePullPolicy",
        "name",
        "resources",
        "securityContext",
        "terminationMessagePath",
        "terminationMessagePolicy",
        "volumeDevices",
        "volumeMounts",
    }
)

_CARRIED: Final = OF_CONTAINERS - {"name", "resources"}
_KEYS: Final = {"volumeMounts": "mountPath", "volumeDevices": "devicePath", "hostAliases": "ip"}


def overlaid(component: Object, template: Mapping[str, Any], part: Part) -> Object:
    """The component with what the template says; both stay as they are."""
    metadata, pod = template.get("metadata") or {}, template.get("spec") or {}
    fields = {name: metadata[name] for name in ("annotations", "labels") if metadata.get(name)}
    fields |= {
        name: value
        for name, value in pod.items()
        if name != "containers" and (part == "model" or name in SHARED)
    }
    made = _joined(component, fields)
    own, given = made["containers"], pod.get("containers") or []
    made["containers"] = [_container(each, own, given, part) for each in own]
    if part == "model":
        names = {each["name"] for each in own}
        made["containers"] += copy.deepcopy([g for g in given[1:] if g["name"] not in names])
    return made


def over_graph(spec: Object, template: Mapping[str, Any]) -> Object:
    """An InferenceGraph's spec with what it has a field for."""
    pod = template.get("spec") or {}
    return _joined(spec, {name: value for name, value in pod.items() if name in OF_GRAPHS})


def over_llm_service(spec: Object, template: Mapping[str, Any]) -> Object:
    """An LLMInferenceService's spec, which has its pods' labels and annotations beside them."""
    pod = overlaid(spec["template"], template, "model")
    beside: Object = {n: pod.pop(n) for n in ("annotations", "labels") if n in pod}
    return _joined({**spec, "template": pod}, beside)


def is_minings(variable: str) -> bool:
    """Whether a variable is HEM's."""
    return variable == MINING_MODE or variable.startswith("HEM_")


def is_traces(variable: str) -> bool:
    """Whether a variable says where traces go, which all servers of a site need to know."""
    return variable.startswith("OTEL_")


def _container(
    own: Object, beside: Sequence[Object], given: Sequence[Object], part: Part
) -> Object:
    """The container with what the template's container of its name says, or else the first one."""
    names = {each["name"] for each in beside}
    meant = [each for each in given if each.get("name") == own["name"]]
    meant = meant or [each for each in given[:1] if each.get("name") not in names]
    if part != "model" or own["name"] == SIDECAR:
        variables = [
            entry
            for each in given
            for entry in each.get("env") or []
            if is_traces(entry["name"]) or (is_minings(entry["name"]) and part != "beside")
        ]
        pulling = {k: v for each in meant for k, v in each.items() if k == "imagePullPolicy"}
        return _joined(own, {"env": variables, **pulling} if variables else pulling)
    fields = {k: v for each in meant for k, v in each.items() if k in _CARRIED}
    if "env" in fields:
        fields["env"] = list(_models_own(fields["env"], own["name"]))
    return _joined(own, fields)


def _models_own(variables: Sequence[Object], container: str) -> Iterator[Object]:
    """Without HEM's; a server beside our container has no PREDICTOR_* settings."""
    for entry in variables:
        ours = entry["name"].startswith("PREDICTOR_") and container != CONTAINER_NAME
        if not is_minings(entry["name"]) and not ours:
            yield entry


def _joined(own: Object, given: Mapping[str, Any]) -> Object:
    made = copy.deepcopy(own)
    for name, value in given.items():
        made[name] = _merged(made.get(name), copy.deepcopy(value), _KEYS.get(name, "name"))
    return made


def _merged(own: Any, given: Any, key: str) -> Any:
    if isinstance(own, dict) and isinstance(given, dict):
        return {**own, **given}
    if not isinstance(own, list) or not isinstance(given, list):
        return given
    named = {each[key]: each for each in given if key in each}
    kept = [named.pop(each.get(key), each) for each in own]
    return [*kept, *named.values(), *(e for e in given if key not in e and e not in kept)]
