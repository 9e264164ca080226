"""Where in a prompt's text each of its tokens begins."""

from typing import Any, Final

from predictors.contract import Query
from predictors.engines.huggingface.streaming import BROKEN_CHARACTER

# A character has up to four bytes, each of which may be a token. More tokens without a text that is
# whole are no character.
CHARACTER_TOKENS: Final = 4


def placed(query: Query, tokens: list[int], tokenizer: Any) -> tuple[str, list[int]]:
    """The text of a raw prompt, and the offset of each token in characters: of a token that goes on
    with a character, that character's, and of one that adds nothing, the next one's.

    A text is the caller's own, whatever the tokenizer makes of it. Tokens are decoded, special ones
    too.
    """
    if not query.tokens and tokenizer.is_fast:
        encoded = tokenizer(query.text, return_offsets_mapping=True)
        if encoded["input_ids"] == tokens:
            return query.text, _rising(start for start, _ in encoded["offset_mapping"])
    text, offsets = _decoded(tokens, tokenizer)
    return (text if query.tokens else query.text), offsets


def _rising(starts: Any) -> list[int]:
    """Special tokens that the tokenizer adds are said to begin at 0."""
    offsets: list[int] = []
    for start in starts:
        offsets.append(max(start, offsets[-1] if offsets else 0))
    return offsets


def _decoded(tokens: list[int], tokenizer: Any) -> tuple[str, list[int]]:
    """In a window that begins one part before what is new: see streaming.Written."""
    text, offsets = "", []
    begin = read = 0
    for end in range(1, len(tokens) + 1):
        offsets.append(len(text))
        before = tokenizer.decode(tokens[begin:read])
        now = tokenizer.decode(tokens[begin:end])
        unfinished = now.endswith(BROKEN_CHARACTER) and end - read < CHARACTER_TOKENS
        if unfinished and end < len(tokens):
            continue
        text += now[len(before) :]
        begin, read = read, end
    return text, offsets
