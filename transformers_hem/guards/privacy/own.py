"""The user's own patterns and words, by RE2: its time grows with the text and not faster, and what
it can't do so (references back, looking around) is refused when it is loaded."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import re2

from predictors.errors import ConfigurationError
from transformers_hem.guards.privacy.base import Found
from transformers_hem.guards.privacy.normalising import normalise

WORD: Final = "word"  # the kind of what the list of words has
_MEMORY: Final = 64 * 2**20  # bytes, of one compiled expression
_NAME_AND_PATTERN: Final = 2
# RE2's own limits of words are those of ASCII.
_BEFORE: Final = r"(?:^|[^\pL\pN])"
_BEHIND: Final = r"(?:$|[^\pL\pN])"


def read_patterns(path: Path) -> dict[str, Any]:
    """Name -> compiled pattern, of lines `name pattern`; blank lines and those with # are comments.
    Raises ConfigurationError that names file, line and pattern."""
    patterns: dict[str, Any] = {}
    for number, line in _lines(path):
        where = f"{path}, line {number}"
        parts = line.split(None, 1)
        if len(parts) != _NAME_AND_PATTERN:
            raise ConfigurationError(f"{where}: must be a name and a pattern, not {line!r}")
        name, pattern = parts
        if name in patterns:
            raise ConfigurationError(f"{where}: there is a pattern {name!r} above already")
        patterns[name] = _compiled(pattern, f"{where}: pattern {name!r}")
        if patterns[name].search("") is not None:
            raise ConfigurationError(f"{where}: pattern {name!r} matches the empty text")
    return patterns


def read_words(path: Path) -> Any | None:
    """One expression for a word, or several words, of each line, whatever their case; None where
    the file has none. Raises ConfigurationError."""
    words = {normalise(line).text.strip() for _, line in _lines(path)} - {""}
    kinds: dict[tuple[str, str], list[str]] = {}
    for word in sorted(words):
        limits = (_BEFORE if _is_spaced(word[0]) else "", _BEHIND if _is_spaced(word[-1]) else "")
        kinds.setdefault(limits, []).append(re2.escape(word))
    bounded = (f"{before}({'|'.join(same)}){behind}" for (before, behind), same in kinds.items())
    return _compiled("|".join(bounded), str(path), words=True) if words else None


def _is_spaced(character: str) -> bool:
    """Of a script with blanks between words: what is not Chinese, Japanese or the like."""
    return character.isalnum() and character < "\u0e00"


def find_patterns(patterns: dict[str, Any], text: str) -> Iterator[Found]:
    for name, pattern in patterns.items():
        for match in pattern.finditer(text):
            start, end = match.span()
            yield Found(start, end, name)


def find_words(words: Any, text: str) -> Iterator[Found]:
    """A blank between two words counts for both: what is behind a word is looked at again."""
    encoded = text.encode()
    place, characters = 0, 0
    while place <= len(encoded):
        match = words.search(encoded, place)
        if match is None:
            return
        spans = map(match.span, range(1, match.re.groups + 1))
        start, end = next(span for span in spans if span[0] >= 0)
        characters += len(encoded[place:start].decode())
        length = len(encoded[start:end].decode())
        yield Found(characters, characters + length, WORD)
        characters += length
        place = end


def _compiled(pattern: str, where: str, *, words: bool = False) -> Any:
    options = re2.Options()
    options.log_errors, options.max_mem = False, _MEMORY
    options.case_sensitive, options.longest_match = not words, words
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        told = error.args[0].decode(errors="replace") if error.args else ""
        raise ConfigurationError(
            f"{where} is refused: {told}; RE2 takes what it can match in linear time "
            "(https://github.com/google/re2/wiki/Syntax)"
        ) from None


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError:
        raise ConfigurationError(f"{path} is not UTF-8") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if (stripped := line.strip()) and not stripped.startswith("#"):
            yield number, stripped
