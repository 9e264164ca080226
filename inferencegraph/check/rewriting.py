"""The gjson path that somebody meant who wrote another language's."""

import re
from typing import Final

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_QUERY: Final = re.compile(r"(?:\[@this\]|@this)?\.?#\((.*)\)#?", re.DOTALL)
_AND: Final = re.compile(r"\s*&&?\s*|\s+(?:and|AND)\s+")
_OR: Final = re.compile(r"\s*\|\|\s*|\s+(?:or|OR)\s+")
_COMPARES: Final = re.compile(r"[=!<>%]")
_HEM: Final = re.compile(r"(?<![\w.\"])(hem_\w+)")
_BODY: Final = r"(?:\$?(?:response|request|body|input|output|this|self|data|payload)\.|\$\.|\.|/)"
# In this order: what is written, and what gjson wants.
_WORDS: Final = (
    (re.compile(r"'([^'\"]*)'"), r'"\1"'),
    (re.compile(rf"(?<![\w.\"\])#]){_BODY}(?=[A-Za-z_])"), ""),
    (re.compile(r"(?<=[\w\"\])])\[(\d+)\]"), r".\1"),
    (re.compile(r"(?<=[\w\])])\[\"(\w+)\"\]"), r".\1"),
    (re.compile(r"^\[@this\]\.?\("), "[@this].#("),
    (re.compile(r"^parameters\.#\((?=\w)"), "[@this].#(parameters."),
    (re.compile(r"\)[.|]#\("), ")#|#("),
    (re.compile(r"\b(outputs|inputs)\.([A-Za-z_]\w*)"), r'\1.#(name=="\2")'),
    (re.compile(r"\b(True|TRUE|False|FALSE)\b"), lambda match: match[0].lower()),
    (re.compile(r"([=!])=="), r"\1="),
    (re.compile(r"=<"), "<="),
    (re.compile(r"=>"), ">="),
    (re.compile(r"<>"), "!="),
    (re.compile(r"(?<![=!<>])=(?![=~])"), "=="),
    (re.compile(r"\s+(?:eq|is)\s+"), "=="),
    (re.compile(r"\s+ne\s+"), "!="),
)


def masked(path: str) -> str:
    """`path` with every character inside double quotes as `_`, so that it has no meaning."""
    return _STRING.sub(lambda match: f'"{"_" * (len(match[0]) - 2)}"', path)


def corrected(path: str) -> str:
    """A guess, which the caller has to check: it may be as wrong as `path`."""
    text = path.strip()
    for pattern, replacement in _WORDS:
        text = pattern.sub(replacement, text)
    text = text.removesuffix("#") if text.endswith(")#") else text
    inner = _inside(text) or text
    if not _COMPARES.search(masked(inner)) or (
        inner is text and "#(" in text and not _joined(text)
    ):
        return _placed(text)
    alternatives = [_query(_split(part, _AND)) for part in _split(inner, _OR)]
    if len(alternatives) == 1:
        return alternatives[0]
    return f"[{','.join(alternatives)}].0"


def _inside(text: str) -> str | None:
    """What stands in the brackets of a text that is one query."""
    whole = _QUERY.fullmatch(text)
    return whole[1] if whole and _balanced(whole[1]) else None


def _balanced(text: str) -> bool:
    depth = 0
    for symbol in masked(text):
        depth += (symbol == "(") - (symbol == ")")
        if depth < 0:
            return False
    return depth == 0


def _joined(text: str) -> bool:
    return bool(_AND.search(masked(text)) or _OR.search(masked(text)))


def _query(tests: list[str]) -> str:
    """Each test asked of what the one before it found."""
    return "[@this]." + "#|".join(f"#({_placed(test)})" for test in tests)


def _placed(path: str) -> str:
    """HEM's parameters where they stand in a body."""
    return _HEM.sub(r"parameters.\1", path)


def _split(text: str, separator: re.Pattern[str]) -> list[str]:
    """At separators outside of strings, without the brackets around each part."""
    bare, parts, start = masked(text), [], 0
    for match in separator.finditer(bare):
        parts.append(text[start : match.start()])
        start = match.end()
    return [_unwrapped(part) for part in [*parts, text[start:]]]


def _unwrapped(part: str) -> str:
    part = part.strip()
    if inside := _inside(part):
        return inside
    bracketed = part.startswith("(") and part.endswith(")") and _balanced(part[1:-1])
    return part[1:-1].strip() if bracketed else part
