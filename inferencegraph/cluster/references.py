"""Secrets, ConfigMaps, claims and accounts that objects name, and whether they exist."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from inferencegraph.check.containers import containers, environment, mapping, sequence
from inferencegraph.cluster.api import Cluster
from inferencegraph.cluster.failures import ClusterError

_CLAIM_URI: Final = "pvc://"
_PULLED_WITHOUT: Final = "images are pulled without it, which fails where the registry asks for one"
_WAITS: Final = "its pods can't start before it is there"
_OPTIONAL: Final = "its pods start without it, but what it is for does not work"


@dataclass(frozen=True, slots=True)
class Reference:
    """`by`: the object that names it, as Kind/name. `without`: what happens if it isn't there."""

    kind: str
    name: str
    namespace: str
    by: str
    without: str


def missing(cluster: Cluster, contents: Sequence[Mapping[str, Any]]) -> list[str]:
    """A warning for each thing that is named, and neither among `contents` nor on the cluster."""
    given = {
        (str(each.get("kind")), metadata.get("name"), metadata.get("namespace"))
        for each in contents
        for metadata in [mapping(each.get("metadata"))]
    }
    wanted: dict[tuple[str, str, str], Reference] = {}
    for content in contents:
        for reference in references(content):
            key = (reference.kind, reference.name, reference.namespace)
            if key not in given:
                wanted.setdefault(key, reference)
    told = [_looked_up(cluster, reference) for reference in wanted.values()]
    return list(dict.fromkeys(filter(None, told)))


def references(content: Mapping[str, Any]) -> Iterator[Reference]:
    """What the pods of an object name."""
    metadata = mapping(content.get("metadata"))
    by = f"{content.get('kind')}/{metadata.get('name')}"
    namespace = str(metadata.get("namespace"))
    for pod in _pods(content):
        for each in sequence(pod.get("imagePullSecrets")):
            if name := mapping(each).get("name"):
                yield Reference("Secret", str(name), namespace, by, _PULLED_WITHOUT)
        for kind, name, without in _named(pod):
            yield Reference(kind, name, namespace, by, without)


def _looked_up(cluster: Cluster, reference: Reference) -> str | None:
    resource = cluster.resource("v1", reference.kind)
    try:
        if cluster.exists(resource, reference.namespace, reference.name):
            return None
    except ClusterError as error:
        if error.code == 403:
            return f"not looked up, no permission to get {resource.name}: {reference.name}"
        raise
    return (
        f"{reference.by}: {reference.kind} {reference.name!r} does not exist in namespace "
        f"{reference.namespace!r}; {reference.without}"
    )


def _pods(content: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    spec = mapping(content.get("spec"))
    kind = content.get("kind")
    if kind == "InferenceService":
        for role in ("predictor", "transformer", "explainer"):
            component = mapping(spec.get(role))
            yield component
            yield mapping(component.get("workerSpec"))
    elif kind in ("ServingRuntime", "InferenceGraph"):
        yield spec
        yield mapping(spec.get("workerSpec"))
    elif kind == "CronJob":
        job = mapping(mapping(spec.get("jobTemplate")).get("spec"))
        yield mapping(mapping(job.get("template")).get("spec"))
    else:
        yield mapping(mapping(spec.get("template")).get("spec"))


def _named(pod: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Kind and name, and what happens without it."""
    if account := pod.get("serviceAccountName"):
        yield "ServiceAccount", str(account), _WAITS
    for volume in map(mapping, sequence(pod.get("volumes"))):
        claim = mapping(volume.get("persistentVolumeClaim")).get("claimName")
        if claim:
            yield "PersistentVolumeClaim", str(claim), _WAITS
        sources = [volume, *map(mapping, sequence(mapping(volume.get("projected")).get("sources")))]
        for source in sources:
            yield from _source("Secret", source.get("secret"), "secretName", "name")
            yield from _source("ConfigMap", source.get("configMap"), "name")
    model = mapping(pod.get("model"))
    inside = [*containers(pod), *map(mapping, sequence(pod.get("initContainers"))), model]
    for container in inside:
        for entry in map(mapping, sequence(container.get("env"))):
            source = mapping(entry.get("valueFrom"))
            yield from _source("Secret", source.get("secretKeyRef"), "name")
            yield from _source("ConfigMap", source.get("configMapKeyRef"), "name")
        for source in map(mapping, sequence(container.get("envFrom"))):
            yield from _source("Secret", source.get("secretRef"), "name")
            yield from _source("ConfigMap", source.get("configMapRef"), "name")
        for uri in (container.get("storageUri"), environment(container, "STORAGE_URI")):
            if isinstance(uri, str) and uri.startswith(_CLAIM_URI):
                yield "PersistentVolumeClaim", uri.removeprefix(_CLAIM_URI).split("/")[0], _WAITS


def _source(kind: str, source: Any, *fields: str) -> Iterator[tuple[str, str, str]]:
    values = [str(value) for field in fields if (value := mapping(source).get(field))]
    if values:
        yield kind, values[0], _OPTIONAL if mapping(source).get("optional") else _WAITS
