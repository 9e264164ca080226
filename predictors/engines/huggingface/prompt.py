"""The text of a query to the tokens of a prompt that fits the model."""

import asyncio
from typing import TYPE_CHECKING

from predictors.engines.huggingface.checkpoint import first_line
from predictors.engines.huggingface.sequence import Sequence
from predictors.errors import InvalidRequest
from predictors.protocol import Query

if TYPE_CHECKING:
    from predictors.engines.huggingface.loading import Loaded

# Shorter texts are encoded faster than a thread takes over.
INLINE_CHARACTERS = 2_000
# No vocabulary has tokens this long, so that a text of megabytes is refused unread.
TOKEN_CHARACTERS = 256


async def encode(query: Query, model: "Loaded", context: int) -> Sequence:
    """The query as one user message through the tokenizer's chat template, if it has one.

    `max_tokens` is cut to what the context leaves. Raises InvalidRequest if not even one token
    of answer fits, or the text has no tokens.
    """
    characters = len(query.text)
    if characters > context * TOKEN_CHARACTERS:
        raise InvalidRequest(
            f"the query has {characters} characters, more than a context of {context} tokens holds"
        )
    if characters > INLINE_CHARACTERS:
        prompt = await asyncio.to_thread(_tokens, query.text, model)
    else:
        prompt = _tokens(query.text, model)
    if not prompt:
        raise InvalidRequest("the query has no tokens for this model")
    if len(prompt) + 1 > context:
        raise InvalidRequest(
            f"the query has {len(prompt)} tokens, which leaves no room for an answer "
            f"in the context of {context} tokens"
        )
    max_tokens = min(query.sampling.max_tokens, context - len(prompt))
    return Sequence(query, prompt, max_tokens, model)


def _tokens(text: str, model: "Loaded") -> list[int]:
    tokenizer = model.tokenizer
    if tokenizer.chat_template:
        try:
            text = tokenizer.apply_chat_template(
                [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True
            )
        except Exception as error:  # whatever the model's own template raises
            raise InvalidRequest(f"the chat template refuses: {first_line(error)}") from error
    tokens: list[int] = tokenizer.encode(text, add_special_tokens=not tokenizer.chat_template)
    return tokens
