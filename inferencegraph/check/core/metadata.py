"""Labels and annotations."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.containers import mapping
from inferencegraph.check.core.syntax import label_value, qualified_name
from inferencegraph.check.problem import Finding, error

_ANNOTATIONS: Final = 256 * 1024  # bytes, of all together


def check_labels(labels: Any, field: str) -> Iterator[Finding]:
    for name, value in mapping(labels).items():
        if (says := qualified_name(str(name))) is not None:
            yield error(f"{field}.{name}", f"the label {str(name)!r}: {says}")
        if isinstance(value, str) and (says := label_value(value)) is not None:
            yield error(f"{field}.{name}", f"{value!r} {says}")


def check_annotations(annotations: Any, field: str) -> Iterator[Finding]:
    total = 0
    for name, value in mapping(annotations).items():
        if (says := qualified_name(str(name).lower())) is not None:
            yield error(f"{field}.{name}", f"the annotation {str(name)!r}: {says}")
        total += len(str(name).encode()) + len(str(value).encode())
    if total > _ANNOTATIONS:
        yield error(field, f"has {total} bytes; at most {_ANNOTATIONS}")


def check_metadata(content: Mapping[str, Any]) -> Iterator[Finding]:
    metadata = mapping(content.get("metadata"))
    yield from check_labels(metadata.get("labels"), "metadata.labels")
    yield from check_annotations(metadata.get("annotations"), "metadata.annotations")
