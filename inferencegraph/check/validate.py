"""Offline checks of manifests, used by `hem validate` and before `hem up`.

They find what kubectl's strict validation and KServe's webhook refuse, and what neither does:
dangling nodeNames, bad gjson, a wrong PROTOCOL, containerConcurrency.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from inferencegraph.check.calls import check_calls
from inferencegraph.check.containers import mapping
from inferencegraph.check.fields import check_fields
from inferencegraph.check.graphs import check_graph
from inferencegraph.check.kserve_types import GROUP, VERSIONS
from inferencegraph.check.multi_node import check_multi_node
from inferencegraph.check.problem import (
    Finding,
    Problem,
    error,
    known,
    warning,
)
from inferencegraph.check.runtimes import check_model, check_runtime
from inferencegraph.check.services import check_service
from predictors.errors import ConfigurationError

__all__ = ["Problem", "refuse", "validate"]

_CORE_KINDS = {
    "v1": (
        "ConfigMap",
        "Namespace",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "Secret",
        "Service",
        "ServiceAccount",
    ),
    "apps/v1": ("DaemonSet", "Deployment", "StatefulSet"),
}
_RUNTIMES = ("ServingRuntime", "ClusterServingRuntime")


def validate(
    documents: Sequence[Mapping[str, Any]],
    files: Sequence[Path] | None = None,
    *,
    complete: bool = False,
) -> list[Problem]:
    """Every problem, in the order of the documents.

    files: where each document came from, for the messages. complete: nothing but these documents
    exists (`hem up`), so whatever names an object that is not here is an error, not a warning.
    """
    problems = []
    contents = [mapping(document) for document in documents]
    for index, content in enumerate(contents):
        file = files[index] if files else None
        name = f"{content.get('kind', '?')}/{mapping(content.get('metadata')).get('name', '?')}"
        problems += [
            Problem(finding.severity, name, finding.field, finding.message, file)
            for finding in _findings(content, contents, complete)
        ]
    return problems


def refuse(documents: Sequence[Mapping[str, Any]], files: Sequence[Path] | None = None) -> None:
    """Raises ConfigurationError with every error, one to a line, where there is one."""
    problems = validate(documents, files, complete=True)
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    if errors:
        raise ConfigurationError("\n".join(errors))


def _findings(
    content: Mapping[str, Any], documents: Sequence[Mapping[str, Any]], complete: bool
) -> Iterator[Finding]:
    kind, version = str(content.get("kind", "")), str(content.get("apiVersion", ""))
    if kind in VERSIONS:
        expected = f"{GROUP}/{VERSIONS[kind]}"
        if version != expected:
            yield error("apiVersion", f"is {version!r}; for {kind} it is {expected!r}")
    elif version.startswith(f"{GROUP}/"):
        yield error("kind", f"unknown kind {kind!r}; {known(VERSIONS, kind)}")
    elif not kind or not version:
        yield error("kind", "an object needs both apiVersion and kind")
    elif kind not in _CORE_KINDS.get(version, ()):
        yield warning("kind", f"{version} {kind} is not one that is checked here")
    yield from _same(content, documents)
    if kind == "InferenceGraph":
        yield from check_fields(content, kind)
        yield from check_graph(content)
        yield from check_calls(
            content, _beside(content, documents, ("InferenceService",)), complete
        )
    elif kind == "InferenceService":
        yield from check_fields(content, kind)
        yield from check_service(content)
        runtimes = _beside(content, documents, _RUNTIMES)
        yield from check_model(content, runtimes, complete)
        yield from check_multi_node(content, runtimes)
    elif kind in _RUNTIMES:
        yield from check_fields(content, kind)
        yield from check_runtime(content)
    elif kind in _CORE_KINDS.get(version, ()):
        yield from check_fields(content, f"V1{kind}")


def _same(content: Mapping[str, Any], documents: Sequence[Mapping[str, Any]]) -> Iterator[Finding]:
    """Reported at the second of two documents that are the same object."""
    for other in documents:
        if other is content:
            return
        if _identity(other) == _identity(content):
            yield error("metadata.name", "another document is the same object; keep one")
            return


def _identity(content: Mapping[str, Any]) -> tuple[str, Any, Any, Any]:
    metadata = mapping(content.get("metadata"))
    group = str(content.get("apiVersion", "")).rpartition("/")[0]
    return group, content.get("kind"), metadata.get("namespace"), metadata.get("name")


def _beside(
    content: Mapping[str, Any], documents: Sequence[Mapping[str, Any]], kinds: Sequence[str]
) -> dict[str, Mapping[str, Any]]:
    """By name, the documents of these kinds that `content` can name: those of its namespace, and
    those that have none."""
    namespace = mapping(content.get("metadata")).get("namespace")
    return {
        str(mapping(document.get("metadata")).get("name")): document
        for document in documents
        if document.get("kind") in kinds
        and (
            str(document.get("kind")).startswith("Cluster")
            or mapping(document.get("metadata")).get("namespace") == namespace
        )
    }
