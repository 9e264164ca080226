"""The versions of a router for people, in a terminal of any width."""

from collections.abc import Iterable, Iterator, Sequence
from textwrap import wrap
from typing import Final

from transformers_hem.versions.pointer import Switch
from transformers_hem.versions.record import Version

SWITCHES: Final = 5  # the newest, that are shown
_LEAST: Final = 40  # columns of a sentence beside its row; in fewer it stands below
_GAP: Final = 2
_INDENT: Final = 4

Row = tuple[str, str]  # what is in a column, and a sentence


def versions_lines(
    versions: Iterable[Version], current: int | None, switches: Sequence[Switch], width: int
) -> Iterator[str]:
    """No line is longer than `width`, from about 40 on."""
    listed = list(versions)
    digits = max(len(str(each.number)) for each in listed)
    rows = [
        (
            f"{'*' if each.number == current else ' '} {each.number:>{digits}}  "
            f"{_moment(each.made)}  {each.algorithm}, {each.origin.how}",
            each.promise or "promises nothing",
        )
        for each in listed
    ]
    yield "versions (* is in force; times are UTC)"
    yield from _laid(rows, width)
    if shown := switches[-SWITCHES:]:
        yield ""
        yield "switches" if len(shown) == len(switches) else f"the last {len(shown)} switches"
        yield from _laid(
            [(f"{_moment(each.at)}  {_what(each)}", each.why) for each in shown], width
        )


def _laid(rows: Sequence[Row], width: int) -> Iterator[str]:
    """Sentences in a column of their own, or below their rows where that would be a strip."""
    column = max(len(row) for row, _ in rows) + _GAP
    room = width - column
    for row, sentence in rows:
        beside = room >= _LEAST or len(sentence) <= room
        indent = column if beside else _INDENT
        lines = wrap(sentence, max(_LEAST // 2, width - indent), break_on_hyphens=False)
        yield f"{row:<{column}}{lines.pop(0)}" if beside and lines else row
        yield from (f"{'':<{indent}}{line}" for line in lines)


def _what(switch: Switch) -> str:
    return f"back to {switch.to}" if switch.how == "rolled back" else f"{switch.to}, {switch.how}"


def _moment(at: str) -> str:
    """Of ISO 8601 in UTC."""
    return at[:16].replace("T", " ")
