"""Environment variables: their names and where their values come from."""

import re
from collections.abc import Iterator
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.pods.parts import (
    Part,
    check_required,
    check_syntax,
    check_unique,
    parts,
)
from inferencegraph.check.pods.syntax import CONFIG_KEY, ENVIRONMENT_NAME, QUALIFIED_NAME, SUBDOMAIN
from inferencegraph.check.problem import Finding, error, unknown

_SOURCES: Final = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")
_OBJECTS: Final = ("configMapRef", "secretRef")
_METADATA: Final = ("metadata.name", "metadata.namespace", "metadata.uid")
ENVIRONMENT_FIELDS: Final = (
    *_METADATA,
    *("spec.nodeName", "spec.serviceAccountName"),
    *("status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs"),
)
VOLUME_FIELDS: Final = (*_METADATA, "metadata.annotations", "metadata.labels")
_KEYED: Final = re.compile(r"metadata\.(annotations|labels)\['(.*)'\]")
_RESOURCES: Final = tuple(
    f"{kind}.{name}"
    for kind in ("limits", "requests")
    for name in ("cpu", "memory", "ephemeral-storage")
)
_HUGE: Final = ("limits.hugepages-", "requests.hugepages-")


def check_environment(container: Part, field: str) -> Iterator[Finding]:
    at = f"{field}.env"
    yield from check_unique(container.get("env"), at, "name")
    for variable, place in parts(container.get("env"), at):
        yield from check_required(variable, place, ("name",))
        yield from check_syntax(variable, place, {"name": ENVIRONMENT_NAME})
        if isinstance(variable.get("valueFrom"), dict):
            yield from _check_source(variable, f"{place}.valueFrom")
    for source, place in parts(container.get("envFrom"), f"{field}.envFrom"):
        yield from _check_whole_source(source, place)


def _check_source(variable: Part, field: str) -> Iterator[Finding]:
    source = mapping(variable["valueFrom"])
    given = [name for name in _SOURCES if source.get(name) is not None]
    if not given:
        yield error(field, f"needs one of {', '.join(_SOURCES)}")
    elif variable.get("value"):
        yield error(field, "there is a value already; keep one of value and valueFrom")
    elif len(given) > 1:
        yield error(field, f"has {' and '.join(given)}; keep one")
    for name in ("configMapKeyRef", "secretKeyRef"):
        if isinstance(reference := source.get(name), dict):
            yield from check_required(reference, f"{field}.{name}", ("name", "key"))
            yield from check_syntax(
                reference, f"{field}.{name}", {"name": SUBDOMAIN, "key": CONFIG_KEY}
            )
    yield from check_references(source, field, ENVIRONMENT_FIELDS)


def check_references(source: Part, field: str, fields: tuple[str, ...]) -> Iterator[Finding]:
    """A pod's own fields and a container's resources (the downward API)."""
    if isinstance(reference := source.get("fieldRef"), dict):
        path = reference.get("fieldPath")
        yield from check_required(reference, f"{field}.fieldRef", ("fieldPath",))
        yield from _check_path(path, f"{field}.fieldRef.fieldPath", fields)
    if isinstance(reference := source.get("resourceFieldRef"), dict):
        resource = reference.get("resource")
        yield from check_required(reference, f"{field}.resourceFieldRef", ("resource",))
        known = not resource or resource in _RESOURCES or str(resource).startswith(_HUGE)
        if not known:
            yield unknown(f"{field}.resourceFieldRef.resource", "resource", resource, _RESOURCES)


def _check_path(path: Any, field: str, fields: tuple[str, ...]) -> Iterator[Finding]:
    if not isinstance(path, str) or not path or path in fields:
        return
    keyed = _KEYED.fullmatch(path)
    if not keyed:
        yield unknown(field, "field", path, fields)
    elif fault := QUALIFIED_NAME.fault(keyed[2]):
        yield error(field, f"the key {fault}")


def _check_whole_source(source: Part, field: str) -> Iterator[Finding]:
    given = [name for name in _OBJECTS if source.get(name) is not None]
    if len(given) != 1:
        yield error(
            field, f"needs exactly one of {' and '.join(_OBJECTS)}; found {len(given) or 'none'}"
        )
    yield from check_syntax(source, field, {"prefix": ENVIRONMENT_NAME})
    for name in given:
        if isinstance(reference := source[name], dict):
            yield from check_required(reference, f"{field}.{name}", ("name",))
            yield from check_syntax(reference, f"{field}.{name}", {"name": SUBDOMAIN})
