"""Replaces items of a chat by their placeholders, in time that grows with the text and not with how
many items there are."""

from typing import Any, Final

import re2

from transformers_hem.guards.placeholders import Placeholders, Written

_MEMORY: Final = 64 * 2**20  # bytes, of the compiled expression
# A shorter item may be a part of other words.
_LEAST_ANYWHERE: Final = 6


class Hider:
    """`hide` gives a text with placeholders for the items that it has. Raises re2's error for more
    of them than fit into its memory."""

    def __init__(self, placeholders: Placeholders) -> None:
        self.placeholders = placeholders
        options = re2.Options()
        options.max_mem, options.longest_match, options.log_errors = _MEMORY, True, False
        self._pattern = re2.compile("|".join(map(re2.escape, placeholders.items)), options)

    def hide(self, text: str, written: Written = Written.TEXT) -> str:
        def placeholder(match: Any) -> str:
            item: str = match.group()
            if len(item) < _LEAST_ANYWHERE and _is_within_a_word(text, *match.span()):
                return item
            return self.placeholders.of(item, written)

        return str(self._pattern.sub(placeholder, text)) if text else text


def _is_within_a_word(text: str, start: int, end: int) -> bool:
    return text[start - 1 : start].isalnum() or text[end : end + 1].isalnum()
