"""All texts of a request, as one, and what of it no detector can read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import orjson

from predictors.contract.openai.messages import IGNORED, TEXT_PARTS

# Between texts of their own: nothing that is private goes across it.
_BETWEEN: Final = "\n\0\n"
_LEAST_NUMBER: Final = 10**6  # a smaller one is no number of a card, a phone or a person


@dataclass(frozen=True, slots=True)
class Read:
    """`unreadable`: types of parts, such as images, or what a text is not."""

    text: str
    unreadable: tuple[str, ...]


def read(content: Any) -> Read:
    """Of JSON, of which tensors are arrays or bytes: names and values of all fields."""
    unreadable: list[str] = []
    texts = list(_texts(content, unreadable))
    return Read(_BETWEEN.join(texts), tuple(dict.fromkeys(unreadable)))


def _texts(value: Any, unreadable: list[str]) -> Iterator[str]:
    match value:
        case None | bool():
            return
        case str():
            yield value
            yield from _inner(value, unreadable)
        case int() | float():
            if abs(value) >= _LEAST_NUMBER:
                yield repr(value)
        case bytes():
            try:
                yield value.decode()
            except UnicodeDecodeError:
                unreadable.append("bytes")
        case np.ndarray() if value.dtype != np.object_:
            unreadable.append("tensor")
        case Mapping():
            for name, each in value.items():
                yield str(name)
                yield from _field(name, each, unreadable)
        case list() | tuple() | np.ndarray():
            for each in value:
                yield from _texts(each, unreadable)
        case _:
            unreadable.append(type(value).__name__)


def _field(name: str, value: Any, unreadable: list[str]) -> Iterator[str]:
    if name == "content" and isinstance(value, list):
        yield from _parts(value, unreadable)
    elif name == "prompt" and _has_tokens(value):
        unreadable.append("tokens")
    else:
        if name in IGNORED and isinstance(value, Mapping):
            unreadable.append(name)
        yield from _texts(value, unreadable)


def _parts(parts: list[Any], unreadable: list[str]) -> Iterator[str]:
    """A model reads a message's parts as one text."""
    texts = []
    for part in parts:
        kind = part.get("type") if isinstance(part, Mapping) else None
        if kind not in TEXT_PARTS:
            unreadable.append(str(kind))
            continue
        texts.append(str(part.get(kind) or ""))
        yield from _texts({k: v for k, v in part.items() if k not in ("type", kind)}, unreadable)
    yield "".join(texts)


def _has_tokens(prompt: Any) -> bool:
    """A text in a model's own numbers."""
    if not isinstance(prompt, list):
        return False
    return any(isinstance(each, int | list) for each in prompt)


def _inner(text: str, unreadable: list[str]) -> Iterator[str]:
    """JSON in a string, as a tool's arguments are: its texts may be written in escapes."""
    if "\\" not in text or not text.lstrip().startswith(("{", "[", '"')):
        return
    try:
        inner = orjson.loads(text)
    except orjson.JSONDecodeError:
        return
    yield from _texts(inner, unreadable)
