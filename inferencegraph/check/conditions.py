"""Conditions of steps: gjson paths that never do what they say.

KServe's router asks whether a path finds anything in a JSON body, so it takes text of any kind:
what is no path finds nothing and never holds, and some paths find something in every body.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from inferencegraph.build.graph import FAILED, routed_to
from inferencegraph.check.condition_paths import PARAMETERS, path_fault
from inferencegraph.check.problem import Finding, error, warning
from inferencegraph.check.rewriting import corrected, masked
from inferencegraph.router.conditions import Condition
from predictors.contract import CLOUD, EDGE
from predictors.errors import ConfigurationError

_EXAMPLE: Final = routed_to(CLOUD)
_ALWAYS: Final = "@this"
_OPERATORS: Final = "== != < <= > >= % (a pattern with * and ?) !%"
# Top-level keys of V2's and V1's bodies.
_BODY: Final = ("error", "id", "inputs", "instances", "model_name", "model_version", "outputs")
_BODY_KEYS: Final = (*_BODY, PARAMETERS, "predictions")

_STATUS: Final = r"(^|#\()(http_?)?(status|code)(_?code)?\s*[=!<>]"
# What the text shows before it is read as a path; strings in double quotes are masked. The first
# that matches is reported.
_MISTAKES: Final[Mapping[str, str]] = {
    r"\{\{|\$\{|\{%": "is a template; render it first",
    r"'": "has single quotes, which gjson takes for a part of the text; use double quotes",
    r"&|(?<=\s)(and|AND)(?=\s)": "joins two tests, which gjson can't; ask one query of what the "
    "other found",
    r"\|\||(?<=\s)(or|OR)(?=\s)": "has an alternative, which gjson doesn't know; ask for the first "
    "of both, or give a Switch one step each",
    r"===|!==|(?<![=!<>])=~|!~|~=|=>|=<|<>|:=": "has an operator that gjson doesn't know; it "
    f"knows {_OPERATORS}",
    r"(?<=\s)(eq|ne|gt|lt|ge|le|gte|lte|in|like|contains|matches|is)(?=\s)": "has a word for an "
    f"operator; gjson knows {_OPERATORS}",
    r"(^|[(\s])(!(?![=%])|not\s|NOT\s)": "negates, which gjson can't; compare with !=, or put the "
    "step for the other case first",
    rf"^({'|'.join(_BODY_KEYS)})/|"
    r"^\$|^\.(?!\.)|^/|#\([.$/]|(^|#\()(response|request|body|input|output|this|self|data|payload)\."
    rf"(?=(request|response|error|hem_|{'|'.join(_BODY_KEYS)})\b)": "names the body, which a path "
    "begins in already; write only what stands inside it",
    _STATUS: "asks for the HTTP status, which a condition "
    f"can't see; {FAILED} holds for every error body",
    r"[A-Za-z_]\w*\s*\(": "calls a function, which gjson doesn't have",
    r"[\w\"\])]\[": "has an index or a key in brackets; write .0 for [0] and .key for ['key']",
    r"(?<=[^\\.])\.\.": "has an empty key between two dots",
    r"^\s": "begins with a blank, which is a part of the key",
    r"[\w\"*]\s+$": "ends with a blank or a line feed, which is a part of the key",
}
# Words that people write for "always", and what no body has as a key.
_WORDS: Final = (
    *("true", "false", "yes", "no", "on", "off", "always", "never", "default", "else", "otherwise"),
    *("fallback", "none", "null", "nil"),
)
_SIDES: Final = {"edge": EDGE, "easy": EDGE, "local": EDGE, "cloud": CLOUD, "hard": CLOUD}
_COMPARES: Final = re.compile(r"[=!<>%]")


def check_condition(path: str, field: str) -> Iterator[Finding]:
    """What is wrong in a condition that is not empty; at most one error."""
    if fault := _fault(path):
        yield error(field, f"{path!r} {fault}; write for example {_right_form(path)}")
        return
    try:
        condition = Condition(path)
    except (ConfigurationError, ValueError) as refused:
        yield error(field, str(refused))
        return
    if PARAMETERS + "." in path and not _COMPARES.search(path):
        yield warning(
            field, f"{path!r} holds whenever the parameter exists, also for false; use {_EXAMPLE}"
        )
    for key in _first_keys(condition):
        if close := get_close_matches(key, _BODY_KEYS, n=1, cutoff=0.8):
            yield warning(
                field, f"{key!r} is no key of a V2 or V1 body; did you mean {close[0]!r}?"
            )
        elif path == key:
            yield warning(
                field,
                f"holds where the body has a top-level key {key!r}, which neither V2 nor V1 bodies "
                f"have; they have {', '.join(sorted(_BODY_KEYS))}",
            )


def _fault(path: str) -> str | None:
    if not path.strip():
        return "is blank: a key of blanks, which no body has"
    word = path.strip().lower()
    if word in _WORDS or word.lstrip("-").isdecimal():
        return f"is a key to gjson, and no body has it; {_ALWAYS} always holds"
    bare = masked(path)
    for pattern, message in _MISTAKES.items():
        if re.search(pattern, bare):
            return message
    try:
        condition = Condition(path)
    except (ConfigurationError, ValueError):
        return None  # the reader's own words say it
    if condition.left_open:
        return "has a query in which a bracket is never closed"
    if word in _SIDES:
        return "is a key to gjson, and no body has it"
    return path_fault(condition)


def _right_form(path: str) -> str:
    word = path.strip().lower()
    if word in _WORDS:
        return f"{_ALWAYS} as the last step of a Switch, or {_EXAMPLE}"
    if word in _SIDES:
        return routed_to(_SIDES[word])
    if re.search(_STATUS, path):
        return FAILED
    form = corrected(path)
    return form if form != path and _fault(form) is None and _reads(form) else _EXAMPLE


def _reads(path: str) -> bool:
    try:
        Condition(path)
    except (ConfigurationError, ValueError):
        return False
    return True


def _first_keys(condition: Condition) -> Iterator[str]:
    """Plain keys that are looked for in the body itself."""
    whole = condition.paths[-1]
    paths = [whole] if whole[0].kind == "key" else []
    if whole[0].text == "[@this]" and len(whole) > 1:
        paths += condition.paths[:-1]
    for path in paths:
        key = path[0].text if path and path[0].kind == "key" else ""
        if re.fullmatch(r"[A-Za-z_]\w*", key) and key not in _BODY_KEYS:
            yield key
