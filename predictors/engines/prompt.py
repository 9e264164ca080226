"""The text of a query -> the tokens of a prompt that fits the model; the same for every engine
that has the model's tokenizer."""

import asyncio
from dataclasses import dataclass
from typing import Any

from predictors.contract import Query
from predictors.errors import InvalidRequest, first_line

# Shorter texts are encoded in less time than a thread takes to start.
INLINE_CHARACTERS = 2_000
# No vocabulary has longer tokens, so a text of megabytes is refused before it is read.
TOKEN_CHARACTERS = 256


@dataclass(frozen=True, slots=True)
class Prompt:
    """`max_tokens` is the query's own, cut to what the context leaves."""

    tokens: list[int]
    max_tokens: int


async def encode(query: Query, tokenizer: Any, context: int, *, apart: bool = False) -> Prompt:
    """The query as one user message through the tokenizer's chat template, where it has one.

    `tokenizer` is a tokenizer of transformers. `context` is the most tokens of prompt and answer
    together; with `apart` it is the most of each, as for an encoder and its decoder. Raises
    InvalidRequest where not even one token of an answer fits, or the text has no tokens.
    """
    characters = len(query.text)
    if characters > context * TOKEN_CHARACTERS:
        raise InvalidRequest(
            f"the query has {characters} characters, more than a context of {context} tokens holds"
        )
    if characters > INLINE_CHARACTERS:
        tokens = await asyncio.to_thread(_tokens, query.text, tokenizer)
    else:
        tokens = _tokens(query.text, tokenizer)
    if not tokens:
        raise InvalidRequest("the query has no tokens for this model")
    if apart and len(tokens) > context:
        raise InvalidRequest(
            f"the query has {len(tokens)} tokens, more than the context of {context} tokens"
        )
    room = context - (1 if apart else len(tokens))  # a decoder begins with a token of its own
    if room < 1:
        raise InvalidRequest(
            f"the query has {len(tokens)} tokens, which leaves no room for an answer "
            f"in the context of {context} tokens"
        )
    return Prompt(tokens, min(query.sampling.max_tokens, room))


def _tokens(text: str, tokenizer: Any) -> list[int]:
    chat = bool(tokenizer.chat_template)
    if chat:
        try:
            text = tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # whatever the model's own template raises
            raise InvalidRequest(f"the chat template refuses: {first_line(error)}") from error
    tokens: list[int] = tokenizer.encode(text, add_special_tokens=not chat)
    return tokens
