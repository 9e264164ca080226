"""A predictor's `model` and the ServingRuntime that serves it, merged into one pod."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from inferencegraph.check.containers import PREDICTOR_CONTAINER, containers, mapping, sequence

_NAME: Final = "{{.Name}}"
_MODELS: Final = "/mnt/models"
# Of a `model`, beside a container's own fields.
_OF_A_MODEL: Final = frozenset(
    ("modelFormat", "runtime", "storageUri", "storage", "protocolVersion", "runtimeVersion")
)
# Of a ServingRuntime, beside a pod's own fields.
_OF_A_RUNTIME: Final = frozenset(
    (
        *("annotations", "labels", "supportedModelFormats", "protocolVersions", "multiModel"),
        *("disabled", "workerSpec", "containers", "builtInAdapter", "grpcEndpoint", "replicas"),
        *("grpcDataEndpoint", "httpDataEndpoint", "storageHelper"),
    )
)
_LISTS: Final = {"env": "name", "volumeMounts": "mountPath", "ports": "containerPort"}


@dataclass(frozen=True, slots=True)
class Merged:
    """`pod`: the runtime's pod with the model's container first."""

    pod: dict[str, Any]
    annotations: dict[str, str]
    labels: dict[str, str]


def runtime_for(
    model: Mapping[str, Any], runtimes: Mapping[str, Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """The runtime that the model names, or the first one that has its format and may be chosen."""
    named = model.get("runtime")
    if named is not None:
        return runtimes.get(str(named))
    wanted = mapping(model.get("modelFormat")).get("name")
    for _, runtime in sorted(runtimes.items()):
        for entry in sequence(mapping(runtime.get("spec")).get("supportedModelFormats")):
            if mapping(entry).get("name") == wanted and mapping(entry).get("autoSelect") is True:
                return runtime
    return None


def merged(name: str, predictor: Mapping[str, Any], runtime: Mapping[str, Any]) -> Merged:
    """The pod of a predictor called `name` whose `model` that runtime serves."""
    model, spec = mapping(predictor.get("model")), mapping(runtime.get("spec"))
    own = {key: value for key, value in model.items() if key not in _OF_A_MODEL}
    inside = [dict(container) for container in containers(spec)]
    for index, container in enumerate(inside):
        if container.get("name") == PREDICTOR_CONTAINER:
            inside[index] = _container(container, own)
            inside.insert(0, inside.pop(index))
            break
    pod = {key: value for key, value in spec.items() if key not in _OF_A_RUNTIME}
    named = json.loads(json.dumps(inside, default=str).replace(_NAME, name))
    annotations = {str(k): str(v) for k, v in mapping(spec.get("annotations")).items()}
    return Merged(
        {**pod, "containers": named},
        {**annotations, **_storage(name, model)},
        {str(k): str(v) for k, v in mapping(spec.get("labels")).items()},
    )


def _storage(name: str, model: Mapping[str, Any]) -> dict[str, str]:
    """What tells KServe's webhook for pods how the model comes. Without a storageUri the service is
    taken for one of many models: a ConfigMap lists them, and an agent fetches them."""
    if model.get("storageUri") is not None:
        key = "internal.serving.kserve.io/storage-initializer-sourceuri"
        return {key: str(model["storageUri"])}
    if mapping(model.get("storage")):
        return {}
    return {
        "internal.serving.kserve.io/agent": "true",
        "internal.serving.kserve.io/configMountPath": "/mnt/configs",
        "internal.serving.kserve.io/configVolumeName": f"modelconfig-{name}-0",
        "internal.serving.kserve.io/modelDir": _MODELS,
    }


def _by_key(theirs: list[Any], ours: list[Any], key: str) -> list[Any]:
    """New entries first, as a strategic merge puts them, and known ones in their place."""
    places = {str(mapping(entry).get(key)): index for index, entry in enumerate(theirs)}
    made, new = list(theirs), []
    for entry in ours:
        named = str(mapping(entry).get(key))
        if named in places:
            made[places[named]] = entry
        else:
            new.append(entry)
    return [*new, *made]


def _container(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """A strategic merge: arguments are joined, lists by their keys, the rest is the model's."""
    made = {**base, **{key: value for key, value in own.items() if key != "name"}}
    arguments = [*sequence(base.get("args")), *sequence(own.get("args"))]
    if arguments:
        made["args"] = arguments
    for field, key in _LISTS.items():
        theirs, ours = sequence(base.get(field)), sequence(own.get(field))
        if theirs or ours:
            made[field] = _by_key(theirs, ours, key)
    for field in ("resources",):
        both = (mapping(base.get(field)), mapping(own.get(field)))
        if any(both):
            made[field] = {
                part: {**mapping(both[0].get(part)), **mapping(both[1].get(part))}
                for part in ("limits", "requests")
                if any(part in each for each in both)
            }
    return made
