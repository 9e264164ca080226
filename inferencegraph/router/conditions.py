"""Step conditions: gjson paths, which hold for a JSON body where they find something in it.

KServe's router evaluates them with Go's gjson, this one with pygjson (gjson.rs). Where the two
differ, a path is rewritten to what Go makes of it, or refused when the graph is loaded.
"""

import re
from dataclasses import dataclass
from typing import Final, Literal

import pygjson

from predictors.errors import ConfigurationError

_MODIFIERS: Final = frozenset({"this", "valid", "pretty", "ugly", "reverse", "flatten", "join"})
_LACKING_MODIFIERS: Final = frozenset({"keys", "values", "tostr", "fromstr", "group", "dig"})
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]+")
_SIMPLE_NAME: Final = re.compile(r'"([A-Za-z0-9_-]+)"')


Kind = Literal["key", "modifier", "first", "every", "brackets"]


@dataclass(frozen=True, slots=True)
class Component:
    """What stands between two separators of a path: `first` is a query `#(...)`, `every` is
    `#(...)#`, `brackets` are `[...]` and `{...}`."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a query compares, as written; `value` may be in quotes."""

    left: str
    operator: str
    value: str


Path = tuple[Component, ...]


class Condition:
    """A gjson path, read once. Raises ConfigurationError for what pygjson can't evaluate.

    `left_open` is true for a query without its closing bracket: Go's gjson takes `#(anything` for
    "the first element", which is never what is meant. `paths`: those inside brackets and queries,
    and the whole as the last one. `comparisons`: those of all queries.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.left_open = False
        self.paths: list[Path] = []
        self.comparisons: list[Comparison] = []
        self._compiled = pygjson.compile(self._read(path))

    def holds(self, body: bytes) -> bool:
        """`body` must be JSON (`bodies.is_json`); for anything else the result is arbitrary."""
        try:
            return bool(pygjson.get_bytes(body, self._compiled).exists())
        except UnicodeDecodeError:  # legal inside Go's strings; no comparison can want these bytes
            text = body.decode("utf-8", "replace")
            return bool(pygjson.get(text, self._compiled).exists())

    def _refused(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"condition {self.path!r} has {what}, which the local router can't evaluate; "
            'compare a value instead, as in [@this].#(parameters.hem_route=="cloud")'
        )

    def _read(self, path: str) -> str:
        """A path, or a part of one, read by the grammar of Go's gjson and written for pygjson."""
        done = [".."] if path.startswith("..") else []  # the prefix for JSON lines
        position = 2 * len(done)
        components: list[Component] = []
        while position < len(path):
            kind, written, end = self._component(path, position)
            components.append(Component(kind, path[position:end]))
            if done and _names_a_member(done, written):
                done[-1] = "|"
            done.append(written)
            position = end
            if position < len(path):
                done.append(path[position])  # the separator, `.` or `|`
                position += 1
        self.paths.append(tuple(components))
        return "".join(done)

    def _component(self, path: str, start: int) -> tuple[Kind, str, int]:
        if path[start] == "@":
            written, end = self._modifier(path, start)
            return "key" if written[0] == "\\" else "modifier", written, end
        if path[start] == "!":
            raise self._refused("a literal (`!`)")
        if path[start] in "[{":
            return ("brackets", *self._multipath(path, start))
        if path.startswith("#(", start):
            written, end = self._query(path, start)
            return "every" if written.endswith(")#") else "first", written, end
        if path[start] == "#" and path[start + 1 : start + 2] not in ("", ".", "|"):
            raise self._refused(f"the component {path[start:]!r}")
        return "key", path[start : (end := _plain_end(path, start))], end

    def _modifier(self, path: str, start: int) -> tuple[str, int]:
        end = start + 1
        while end < len(path) and path[end] not in ".|:":
            end += 1
        name = path[start + 1 : end]
        if name in _LACKING_MODIFIERS:
            raise self._refused(f"the modifier @{name}")
        if name not in _MODIFIERS:  # a key, to Go
            end = _plain_end(path, start)
            return "\\" + path[start:end], end
        if path[end : end + 1] == ":":
            end = _argument_end(path, end + 1)
        return path[start:end], end

    def _multipath(self, path: str, start: int) -> tuple[str, int]:
        """`[a,b]` or `{"name":a,b}`; what lies between the commas are paths of their own."""
        parts: list[str] = []
        position = start + 1
        while True:
            end = _balanced_end(path, position, ",")
            if end == len(path):
                raise self._refused(f"{path[start:]!r}, never closed")
            parts.append(self._selector(path[position:end]))
            position = end + 1
            if path[end] != ",":
                break
        if path[position : position + 1] not in ("", ".", "|"):
            raise self._refused(f"text right after {path[start:position]!r}")
        return path[start] + ",".join(parts) + path[position - 1], position

    def _selector(self, text: str) -> str:
        colon = _balanced_end(text, 0, ":")
        if colon == len(text):
            return self._read(text)
        if "@" in text[:colon]:
            raise self._refused("a modifier with an argument inside brackets")
        name = _SIMPLE_NAME.sub(r"\1", text[:colon])  # pygjson takes the quotes for a part of it
        return f"{name}:{self._read(text[colon + 1 :])}"

    def _query(self, path: str, start: int) -> tuple[str, int]:
        end = _balanced_end(path, start + 2, "")
        if end == len(path):
            self.left_open = True
            return "#()", end
        inner = path[start + 2 : end]
        end += 1 + path.startswith("#", end + 1)
        every = "#" if path[end - 1] == "#" else ""
        after = path[end:]
        if after and not after.strip():  # the line feed of a YAML block, which Go ignores too
            return f"#({self._comparison(inner)}){every}", len(path)
        if after[:1] not in ("", ".", "|"):
            raise self._refused(f"text right after {path[start:end]!r}")
        return f"#({self._comparison(inner)}){every}", end

    def _comparison(self, inner: str) -> str:
        split = _balanced_end(inner, 0, "!=<>%")
        left, right = self._read(inner[:split].strip()), inner[split:].strip()
        operator = re.match(r"[!<>=]=|!%|[=<>%]|$", right)
        if operator is None:
            raise self._refused(f"the operand {right!r} inside a query")
        value = right[operator.end() :].strip()
        if value.startswith("~"):
            raise self._refused(f"the operand {value!r} inside a query")
        self.comparisons.append(Comparison(inner[:split].strip(), operator.group(), value))
        # pygjson doesn't take the quotes off an empty string.
        return left + operator.group() + ("" if value == '""' else value)


def _names_a_member(before: list[str], component: str) -> bool:
    """Whether the `.` before `component` may be a `|`, which is the same between plain names.

    At a `.` pygjson also looks inside members of the first name's members, which Go doesn't, and
    which takes time by the square of a body's depth.
    """
    many = any(part.startswith(("#", "..")) or set(part) & set("*?\\") for part in before)
    return not many and bool(_PLAIN_NAME.fullmatch(component) and _PLAIN_NAME.fullmatch(before[-2]))


def _plain_end(path: str, start: int) -> int:
    """Where the component ends: at the next `.` or `|` without a backslash before it."""
    while start < len(path) and path[start] not in ".|":
        start += 2 if path[start] == "\\" else 1
    return min(start, len(path))


def _argument_end(path: str, start: int) -> int:
    """Where a modifier's argument ends: JSON with its last bracket, anything else at a `|`."""
    if path[start : start + 1] in ("{", "["):
        return min(_balanced_end(path, start + 1, "") + 1, len(path))
    while start < len(path) and path[start] != "|":
        start = _string_end(path, start) if path[start] == '"' else start + 1
    return start


def _balanced_end(path: str, start: int, stops: str) -> int:
    """The first of `stops`, or the bracket that closes; neither inside strings nor brackets."""
    depth = 0
    while start < len(path):
        symbol = path[start]
        if depth == 0 and (symbol in stops or symbol in "])}"):
            return start
        if symbol == '"':
            start = _string_end(path, start)
            continue
        depth += (symbol in "[({") - (symbol in "])}")
        start += 2 if symbol == "\\" else 1
    return len(path)


def _string_end(path: str, start: int) -> int:
    """One past the closing quote of the string that opens at `start`."""
    start += 1
    while start < len(path) and path[start] != '"':
        start += 2 if path[start] == "\\" else 1
    return min(start + 1, len(path))
