"""On which line of a file a field stands."""

import re
from pathlib import Path
from typing import Final

import yaml

from inferencegraph.read.documents import Document

_ITEM: Final = re.compile(r"\[(\d+)\]")


def line_of(document: Document, field: str) -> int | None:
    """The line, from 1 on, of a field such as `spec.nodes.root.steps[0].data`, or of the nearest
    one above it that is written down; None where the document's own text is not known."""
    if document.index is None:
        return None
    try:
        text = document.path.read_text(encoding="utf-8")
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
        node = nodes[document.index]
    except (OSError, ValueError, IndexError, RecursionError, yaml.YAMLError):
        return None
    return None if node is None else _found(node, f"{document.within}{field}")


def _found(node: yaml.Node, rest: str) -> int:
    line: int = node.start_mark.line + 1
    while rest:
        step = _into(node, rest.removeprefix("."))
        if step is None:
            break
        node, line, rest = step
    return line


def _into(node: yaml.Node, rest: str) -> tuple[yaml.Node, int, str] | None:
    """What is meant by the first part of `rest`, its line, and the rest behind it."""
    item = _ITEM.match(rest)
    if item and isinstance(node, yaml.SequenceNode):
        index = int(item[1])
        if index < len(node.value):
            inner = node.value[index]
            return inner, inner.start_mark.line + 1, rest[item.end() :]
        return None
    if not isinstance(node, yaml.MappingNode):
        return None
    # Names may have dots in them, as those of annotations do: the longest one that fits.
    fitting = [
        (key, value)
        for key, value in node.value
        if rest == key.value or rest.startswith((f"{key.value}.", f"{key.value}["))
    ]
    if not fitting:
        return None
    key, value = max(fitting, key=lambda pair: len(str(pair[0].value)))
    return value, key.start_mark.line + 1, rest[len(key.value) :]


def shown(path: Path, line: int | None) -> str:
    return f"{path}:{line}" if line else str(path)
