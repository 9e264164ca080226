"""Labels and annotations, as the API server takes them of any object."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.pods.parts import check_labels
from inferencegraph.check.pods.syntax import QUALIFIED_NAME
from inferencegraph.check.problem import Finding, error

_ANNOTATIONS_LIMIT: Final = 256 * 1024  # bytes, of all together


def check_metadata(content: Mapping[str, Any]) -> Iterator[Finding]:
    metadata = mapping(content.get("metadata"))
    yield from check_labels(metadata.get("labels"), "metadata.labels")
    annotations = mapping(metadata.get("annotations"))
    for name in annotations:
        if fault := QUALIFIED_NAME.fault(str(name).lower()):
            yield error("metadata.annotations", f"a name {fault}")
    size = sum(len(f"{name}{value}".encode()) for name, value in annotations.items())
    if size > _ANNOTATIONS_LIMIT:
        yield error("metadata.annotations", f"has {size} bytes; at most {_ANNOTATIONS_LIMIT}")
