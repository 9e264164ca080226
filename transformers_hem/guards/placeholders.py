"""What stands for private items in a request that leaves, and is put back in its answer."""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from enum import Enum
from functools import cache
from typing import Final

import orjson

_LONGEST_WORD: Final = 32
_LONGEST_NUMBER: Final = 6  # digits
_NOTHING: Final = re.compile(r"(?!)")
_OTHER: Final = re.compile(r"[^A-Z0-9]+")


class Written(Enum):
    """How a placeholder stands in a text: `<EMAIL_1>`; in one that is JSON, whose writer may escape
    the brackets (Go's does); in a name, where OpenAI takes no brackets: `EMAIL_1`."""

    TEXT = re.compile(r"<([A-Za-z0-9_]{3,40})>")
    JSON = re.compile(r"(?:<|\\u003c)([A-Za-z0-9_]{3,40})(?:>|\\u003e)", re.IGNORECASE)
    NAME = "EMAIL_1"


class Placeholders:
    """Of one chat: the same text has the same one, in all that leaves of it, and none is used that
    the chat's own texts have."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}  # by the item
        self._items: dict[str, str] = {}  # by the name
        self._kinds: dict[str, str] = {}  # by the item
        self._used: set[str] = set()
        self._last: Counter[str] = Counter()  # number of each word
        self._beginnings: dict[Written, frozenset[str]] = {}

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many items of each were hidden."""
        return Counter(kind for item, kind in self._kinds.items() if item in self._used)

    def add(self, items: Iterable[tuple[str, str]], text: str) -> bool:
        """Items and their kinds, of `text`. False where that has a placeholder that is in use."""
        taken = cache(_taken_in(text.upper()))
        if any(number in taken(word) for word, number in map(_parts, self._items)):
            return False
        for item, kind in items:
            if item in self._names:
                continue
            name = self._name(item, _word(kind), taken)
            self._names[item], self._items[name] = name, item
            self._kinds[item] = kind
        self._beginnings.clear()
        return True

    def _name(self, item: str, word: str, taken: Callable[[str], frozenset[str]]) -> str:
        self._last[word] += 1
        while str(self._last[word]) in taken(word):
            self._last[word] += 1
        return f"{word}_{self._last[word]}"

    @property
    def items(self) -> Collection[str]:
        return self._names.keys()

    def has(self, item: str) -> bool:
        return item in self._names

    def of(self, item: str, written: Written = Written.TEXT) -> str:
        """What stands for it."""
        name = self._names[item]
        self._used.add(item)
        return name if written is Written.NAME else f"<{name}>"

    def put_back(self, text: str, written: Written = Written.TEXT) -> str:
        """The text with the items, in whatever case a model has written their placeholders."""
        return self._without(text, written, self._items.__getitem__)

    def left_out(self, text: str) -> str:
        """The text without placeholders, however they are written: nothing joins what is around
        one."""
        text = self._without(text, Written.TEXT, lambda _: "\0")
        return self._without(text, Written.NAME, lambda _: "\0")

    def _without(self, text: str, written: Written, item: Callable[[str], str]) -> str:
        pattern = self._bare() if written is Written.NAME else written.value

        def stands_for(match: re.Match[str]) -> str:
            name = match[1].upper()
            if name not in self._items:
                return match.group()
            found = item(name)
            return _escaped(found) if written is Written.JSON else found

        return pattern.sub(stands_for, text)

    def _bare(self) -> re.Pattern[str]:
        words = "|".join(sorted({_parts(name)[0] for name in self._items}, reverse=True))
        return re.compile(rf"((?:{words})_[0-9A-F]+)") if words else _NOTHING

    def held(self, text: str, written: Written = Written.TEXT) -> int:
        """How many characters at its end may be the beginning of a placeholder. Names come whole,
        and none is kept back."""
        if written is Written.NAME:
            return 0
        beginnings = self._beginnings.get(written)
        if beginnings is None:
            beginnings = self._beginnings[written] = frozenset(self._all_beginnings(written))
        longest = min(len(text), max(map(len, beginnings), default=0))
        end = text[-longest:].upper() if longest else ""
        return next((n for n in range(longest, 0, -1) if end[-n:] in beginnings), 0)

    def _all_beginnings(self, written: Written) -> Iterable[str]:
        for name in self._items:
            for form in _FORMS[written]:
                whole = form.format(name)
                yield from (whole[:n] for n in range(1, len(whole)))


_FORMS: Final[Mapping[Written, tuple[str, ...]]] = {
    Written.TEXT: ("<{}>",),
    Written.JSON: ("<{}>", "\\U003C{}\\U003E"),
}


def _taken_in(text: str) -> Callable[[str], frozenset[str]]:
    """Of a word: the numbers behind it in the text, which is in capitals, and what these begin
    with, as a shorter placeholder is a part of a longer one."""

    def taken(word: str) -> frozenset[str]:
        numbers = set(re.findall(rf"{word}_([0-9]{{1,{_LONGEST_NUMBER}}})", text))
        return frozenset(number[:n] for number in numbers for n in range(1, len(number) + 1))

    return taken


def _word(kind: str) -> str:
    return _OTHER.sub("_", kind.upper()).strip("_")[:_LONGEST_WORD] or "ITEM"


def _parts(name: str) -> tuple[str, str]:
    word, _, number = name.rpartition("_")
    return word, number


def _escaped(item: str) -> str:
    """As it stands within a string of JSON."""
    return orjson.dumps(item).decode()[1:-1]
