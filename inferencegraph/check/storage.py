"""Where a model comes from: URIs that KServe's controller refuses, before it makes anything."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import (
    PREDICTOR_CONTAINER,
    components,
    containers,
    environment,
    mapping,
)
from inferencegraph.check.pods.parts import parts
from inferencegraph.check.problem import Finding, Others, error
from inferencegraph.check.reconciled.metadata import STORAGE_URI
from inferencegraph.check.reconciled.runtimes import wanted
from predictors.errors import known

_SCHEMES: Final = (
    *("file", "gs", "hdfs", "hf", "http", "https", "oci", "oci+fetch", "oci+native"),
    *("pvc", "s3", "webhdfs"),
)
_AZURE: Final = "blob.core.windows.net"
_AZURE_BLOB: Final = re.compile(r"https://.+\.blob\.core\.windows\.net/.+")


def check_storage(service: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    """A model's storageUri, a component's storageUris, and the variable STORAGE_URI."""
    for role, component in components(service):
        field = f"spec.{role}"
        model = wanted(component) if role == "predictor" else None
        if model is not None:
            uri = model.spec.get("storageUri")
            at = f"{field}.{model.field}.storageUri"
            if isinstance(uri, str) and "://" not in uri:
                yield error(
                    at, f"{uri!r} has no scheme; write for example hf://ORG/MODEL or pvc://CLAIM"
                )
            yield from _check_uri(uri, at, others)
        for entry, at in parts(component.get("storageUris"), f"{field}.storageUris"):
            yield from _check_uri(entry.get("uri"), f"{at}.uri", others)
        inside = containers(component)
        for index, container in enumerate(inside):
            is_served = container.get("name") == PREDICTOR_CONTAINER or len(inside) == 1
            if index == 0 if role == "transformer" else is_served:
                uri = environment(mapping(container), STORAGE_URI)
                yield from _check_uri(uri, f"{field}.containers[{index}].env", others)


def _check_uri(uri: Any, field: str, others: Others) -> Iterator[Finding]:
    if not isinstance(uri, str) or "://" not in uri or _is_taken(uri, others):
        return
    scheme, _, rest = uri.partition("://")
    if scheme not in _SCHEMES:
        yield error(
            field,
            f"KServe refuses {scheme}://, where no ClusterStorageContainer takes it; "
            f"{known(scheme, _SCHEMES, brief=True)}",
        )
    elif scheme == "pvc" and not rest.partition("/")[0]:
        yield error(field, f"{uri!r} names no claim; write pvc://CLAIM/PATH")
    elif _AZURE in uri and not _AZURE_BLOB.match(uri):
        yield error(field, f"{uri!r} is no blob; write https://ACCOUNT.{_AZURE}/CONTAINER/PATH")


def _is_taken(uri: str, others: Others) -> bool:
    """Whether one of the ClusterStorageContainers that are here fetches it."""
    for container in others.storages.values():
        formats = mapping(container.get("spec")).get("supportedUriFormats")
        for form, _ in parts(formats, ""):
            prefix, pattern = form.get("prefix"), form.get("regex")
            if isinstance(prefix, str) and prefix and uri.startswith(prefix):
                return True
            if isinstance(pattern, str) and pattern and _matches(pattern, uri):
                return True
    return False


def _matches(pattern: str, uri: str) -> bool:
    """A pattern that is Go's alone is taken to match."""
    try:
        return re.search(pattern, uri) is not None
    except re.error:
        return True
