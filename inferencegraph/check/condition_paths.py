"""What a gjson path asks for that a V2 or V1 body never has, or always has."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from inferencegraph.build.graph import FAILED
from inferencegraph.check.rewriting import masked
from inferencegraph.router.conditions import Comparison, Component, Condition, Path
from predictors.contract import (
    CLOUD,
    EDGE,
    HEM_ALGORITHM,
    HEM_PREFER,
    HEM_PREFIX,
    HEM_REASON,
    HEM_ROUTE,
    HEM_SCORE,
    HEM_THRESHOLD,
)

PARAMETERS: Final = "parameters"
_HEM_NAMES: Final = (HEM_ALGORITHM, HEM_PREFER, HEM_REASON, HEM_ROUTE, HEM_SCORE, HEM_THRESHOLD)
_COMPARES: Final = re.compile(r"[=!<>%]")
_NUMERAL: Final = re.compile(r"[+-]?[\d.,_]+\s*%?")
_WHOLE_LIST: Final = "[@this]"
_LISTS: Final = ("inputs", "outputs")


def path_fault(condition: Condition) -> str | None:
    """What is wrong, as the rest of a sentence that begins with the path."""
    whole = condition.paths[-1]
    if not whole:
        return "names nothing"
    first, last = whole[0], whole[-1]
    if first.kind in ("first", "every"):
        return "looks through a list, but a body is an object; [@this] makes a list of it"
    if last.kind == "brackets":
        return "always holds: brackets make a list, if an empty one; @this says so"
    if last.text == "#" or any(part.kind == "every" for part in _unpiped(whole)):
        return "holds whatever the query finds, as #(...)# and # always give something; use #(...)"
    for path in condition.paths:
        kinds = [part.kind for part in path[1:3]]
        if path and path[0].text == _WHOLE_LIST and kinds in (["first"] * 2, ["first", "every"]):
            return "asks what the first query found, an object, as a list; write #(...)#|#(...)"
    faults = (
        _key_fault(part.text, part.kind)
        or _list_fault(before, part)
        or (None if f"[{PARAMETERS}]" in condition.path else _place_fault(before, part))
        for path in condition.paths
        for before, part in zip((None, *path), path, strict=False)
    )
    return next(filter(None, (*faults, *map(_comparison_fault, condition.comparisons))), None)


def _unpiped(path: Path) -> Iterator[Component]:
    """Components whose result is the result of the path: not those of which one element is taken
    or asked for."""
    for part, following in zip(path, (*path[1:], None), strict=True):
        taken = following is not None and (following.kind == "first" or following.text.isdecimal())
        if not taken:
            yield part


def _list_fault(before: Component | None, part: Component) -> str | None:
    """Queries of what is no list, and keys of what is one."""
    if before is None:
        return None
    if part.kind in ("first", "every") and before.text in (PARAMETERS, FAILED, "@this"):
        return f"looks through a list, but {before.text} is an object; [{before.text}] is a list"
    is_key = part.kind == "key" and not re.fullmatch(r"\d+|#|.*[*?].*", part.text)
    if is_key and before.text in _LISTS:
        return f"asks {before.text}, a list, for {part.text!r}; a tensor is found by its name"
    if is_key and before.text == _WHOLE_LIST:
        return f"asks a list for {part.text!r}; leave [@this] away where nothing is compared"
    return None


def _key_fault(text: str, kind: str) -> str | None:
    """What no key looks like."""
    if kind != "key":
        return None
    if text.startswith("@"):
        return f"has no modifier of gjson in {text!r}"
    if "(" in text or ")" in text:
        return f"has brackets in the key {text!r}; a query is #(...)"
    if _COMPARES.search(text):
        return "compares outside of #(...), so never holds"
    if odd := re.search(r"[;^$+]", text):
        return f"has {odd[0]} in the key {text!r}; gjson knows no such sign"
    if '"' in text:
        return f"has quotes in the key {text!r}; keys have none"
    return f"has a blank in the key {text!r}" if re.search(r"(?<!\\)\s", text) else None


def _place_fault(before: Component | None, part: Component) -> str | None:
    """HEM's parameters by a name or in a place that they don't have."""
    text = part.text
    if part.kind != "key" or not text.startswith(HEM_PREFIX):
        return None
    if before is None or not re.search(rf"[*?]|^{PARAMETERS}$|^0$", before.text):
        return f"looks for {text} in the wrong place: it stands under {PARAMETERS}"
    near = get_close_matches(text, _HEM_NAMES, n=1, cutoff=0.8)
    if text not in _HEM_NAMES and near:
        return f"has {text!r}, which HEM doesn't write; did you mean {near[0]!r}?"
    return None


def _comparison_fault(comparison: Comparison) -> str | None:
    left, operator, value = comparison.left, comparison.operator, comparison.value
    if not operator:
        return None
    if re.match(r'"|-?\d+(\.\d+)?$|(true|false)$', left):
        return f"has a value on the left of {operator}; the path stands there"
    if not value:
        return f'compares with nothing after {operator}; an empty text is ""'
    quoted = value.startswith('"')
    if quoted != value.endswith('"') or (quoted and '"' in masked(value)[1:-1]):
        return f"has a value with quotes on one side or inside: {value}"
    text = value[1:-1] if quoted else value
    if not quoted and text in ("null", "nil", "None", "undefined"):
        return f"compares with {text}, which nothing equals; test the path alone for what exists"
    if not quoted and text.lower() in ("true", "false") and not text.islower():
        return f"compares with {text}, which is {text.lower()} in JSON"
    if _NUMERAL.fullmatch(text) and not quoted and not _is_number(text):
        return f"compares with {text}, which is no number (Go takes it for 0)"
    return _decision_fault(left.rpartition(".")[2], operator, text)


def _decision_fault(name: str, operator: str, text: str) -> str | None:
    """What is wrong in a test of one of HEM's own parameters."""
    if name == HEM_ROUTE and operator in ("==", "=", "!=") and text not in (EDGE, CLOUD):
        return f"asks for a {HEM_ROUTE} that is never there: it is {EDGE!r} or {CLOUD!r}"
    if name == HEM_ROUTE and operator[0] in "<>":
        return f"orders {HEM_ROUTE}, which is {EDGE!r} or {CLOUD!r}"
    if name in (HEM_SCORE, HEM_THRESHOLD):
        if not _is_number(text):
            return f"compares {name}, a number, with {text!r}"
        if not 0 <= float(text) <= 1:
            return f"compares {name}, which lies in [0, 1], with {text}"
    return None


def _is_number(text: str) -> bool:
    try:
        return float(text) == float(text) and "_" not in text
    except ValueError:
        return False
