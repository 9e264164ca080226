"""A request's body with placeholders for what is private in it."""

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from transformers_hem.guards.placeholders import Placeholders, Written
from transformers_hem.guards.privacy.base import OF_DIGITS, Found, TookTooLong
from transformers_hem.guards.privacy.detectors import Detectors
from transformers_hem.guards.privacy.hiding import Hider
from transformers_hem.guards.privacy.leaving import read

# Strings that servers take from a list of theirs, and those that they take without brackets.
_FIXED: Final = frozenset({"role", "type"})
_NAMES: Final = frozenset({"name", "id", "tool_call_id"})
_MESSAGES: Final = "messages"


def items(text: str, found: Iterable[Found]) -> Iterator[tuple[str, str]]:
    """What was found, with its kind; what overlaps is one item. Of what stands in JSON, also what
    its escapes stand for."""
    for start, end, kind in _apart(found):
        item = text[start:end]
        if "\\" in item and (plain := _unescaped(item)) != item:
            yield plain, kind
        yield item, kind


def _apart(found: Iterable[Found]) -> list[tuple[int, int, str]]:
    kept: list[tuple[int, int, str]] = []
    for each in sorted(found, key=lambda f: (f.start, -f.end, f.kind in OF_DIGITS, f.kind)):
        if not kept or each.start >= kept[-1][1]:
            kept.append((each.start, each.end, each.kind))
        elif each.end > kept[-1][1]:
            start, _, kind = kept[-1]
            kept[-1] = (start, each.end, kind)
    return kept


def _unescaped(item: str) -> str:
    try:
        return str(json.loads(f'"{item}"', strict=False))
    except ValueError:
        return item


@dataclass(frozen=True, slots=True)
class Seen:
    """What the detectors have `found` in the `text` of a request's `content`, and the time until
    which it may be looked through again."""

    content: Sequence[Any]
    text: str
    found: Sequence[Found]
    by: float | None = None


def redacted(
    detectors: Detectors, seen: Seen, body: Mapping[str, Any], placeholders: Placeholders
) -> dict[str, Any] | None:
    """`body`, which is one of the content, with placeholders for what was seen. None where
    something private is left: all is looked through once more. Raises TookTooLong."""
    if not placeholders.add(items(seen.text, seen.found), seen.text):
        return None
    leaves = redact(body, Hider(placeholders))
    if seen.by is not None and time.perf_counter() > seen.by:
        raise TookTooLong
    again = read([leaves if each is body else each for each in seen.content])
    if again.unreadable or detectors.find(placeholders.left_out(again.text), seen.by):
        return None
    return leaves


def redact(body: Mapping[str, Any], hider: Hider) -> dict[str, Any]:
    """The names of its fields, and those of its messages, stay. So do numbers, but for those in a
    string of JSON."""
    return {
        name: [_fields(m, hider) if isinstance(m, Mapping) else m for m in value]
        if name == _MESSAGES and isinstance(value, list)
        else _redacted(value, hider, name)
        for name, value in body.items()
    }


def _fields(message: Mapping[str, Any], hider: Hider) -> dict[str, Any]:
    return {name: _redacted(value, hider, name) for name, value in message.items()}


def _redacted(value: Any, hider: Hider, field: str = "") -> Any:
    match value:
        case str():
            if field in _FIXED:
                return value
            if field in _NAMES:
                return hider.hide(value, Written.NAME)
            return redact_text(value, hider)
        case Mapping():
            return {hider.hide(name): _redacted(each, hider, name) for name, each in value.items()}
        case list():
            return [_redacted(each, hider, field) for each in value]
    return value


def redact_text(text: str, hider: Hider) -> str:
    """JSON stays JSON: a number becomes a string there, and what its escapes stand for is read."""
    inner = _parsed(text) if "\\" in text else None
    if inner is None:
        hidden = hider.hide(text)
        if hidden == text or (inner := _parsed(text)) is None or _parsed(hidden) is not None:
            return hidden
    changed = _inner(inner, hider)
    return text if changed == inner else json.dumps(changed, ensure_ascii=False)


def _parsed(text: str) -> Any:
    """None for what is no object, list or string of JSON. Not orjson, which makes floats of numbers
    with many digits."""
    if not text.lstrip().startswith(("{", "[", '"')):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _inner(value: Any, hider: Hider) -> Any:
    match value:
        case str():
            return redact_text(value, hider)
        case bool():
            return value
        case int() | float():
            return (
                hider.placeholders.of(repr(value)) if hider.placeholders.has(repr(value)) else value
            )
        case dict():
            return {hider.hide(n): _inner(v, hider) for n, v in value.items()}
        case list():
            return [_inner(each, hider) for each in value]
    return value
