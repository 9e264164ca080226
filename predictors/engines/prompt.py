"""The text of a query -> the tokens of a prompt that fits the model; the same for every engine
that has the model's tokenizer."""

import asyncio
from dataclasses import dataclass
from typing import Any

from predictors.contract import Query
from predictors.contract.openai.errors import InvalidField
from predictors.contract.openai.fields import CONTINUE_FINAL_MESSAGE
from predictors.errors import ContextTooLong, InvalidRequest, first_line

# Shorter texts are encoded in less time than a thread takes to start.
INLINE_CHARACTERS = 2_000
# No vocabulary has longer tokens, so a text of megabytes is refused before it is read.
TOKEN_CHARACTERS = 256
# Stands for the text of a message that goes on: templates trim texts, and transformers, which finds
# the place where such a message ends, loses the blanks there.
TEXT = "text"


@dataclass(frozen=True, slots=True)
class Prompt:
    """`max_tokens` is the query's own, cut to what the context leaves."""

    tokens: list[int]
    max_tokens: int


async def encode(
    query: Query, tokenizer: Any, context: int, vocabulary: int, *, apart: bool = False
) -> Prompt:
    """The conversation through the tokenizer's chat template; without one a single user message is
    its text. A raw text is taken as it is, and tokens are the prompt already. What there is of the
    answer stands at the end, character by character, where its own tokens would.

    `tokenizer` is a tokenizer of transformers. `context` is the most tokens of prompt and answer
    together; with `apart` it is the most of each, as for an encoder and its decoder. `vocabulary`
    is how many tokens the model has embeddings for. Raises ContextTooLong where not even one token
    of an answer fits that is to have any, InvalidRequest where the text has no tokens, or one that
    the model doesn't know: on a GPU that would end the process.
    """
    characters = sum(len(message.content) for message in query.conversation)
    if characters > context * TOKEN_CHARACTERS:
        raise ContextTooLong(
            f"the query has {characters} characters, more than a context of {context} tokens holds"
        )
    if characters > INLINE_CHARACTERS:
        tokens = await asyncio.to_thread(_tokens, query, tokenizer)
    else:
        tokens = _tokens(query, tokenizer)
    if not tokens:
        raise InvalidRequest("the query has no tokens for this model")
    _check_known(query, tokens, tokenizer, vocabulary)
    if apart and len(tokens) > context:
        raise ContextTooLong(
            f"the query has {len(tokens)} tokens, more than the context of {context} tokens"
        )
    room = context - (1 if apart else len(tokens))  # a decoder begins with a token of its own
    if room < min(query.sampling.max_tokens, 1):
        raise ContextTooLong(
            f"the query has {len(tokens)} tokens, which leaves no room for an answer "
            f"in the context of {context} tokens"
        )
    return Prompt(tokens, min(query.sampling.max_tokens, room))


def _tokens(query: Query, tokenizer: Any) -> list[int]:
    if query.tokens:
        return list(query.tokens)
    chat = bool(tokenizer.chat_template) and not query.raw
    tokens: list[int] = tokenizer.encode(
        _templated(query, tokenizer) if chat else _plain(query), add_special_tokens=not chat
    )
    return tokens


def _check_known(query: Query, tokens: list[int], tokenizer: Any, vocabulary: int) -> None:
    if min(tokens) >= 0 and (largest := max(tokens)) < vocabulary:
        return
    if query.tokens:
        wrong = next(token for token in tokens if not 0 <= token < vocabulary)
        raise InvalidField(
            f"prompt: there is no token {wrong}, the model knows 0 to {vocabulary - 1}", "prompt"
        )
    raise InvalidRequest(
        f"the query has the token {tokenizer.convert_ids_to_tokens(largest)!r}, number {largest} "
        f"of the tokenizer, but the model knows {vocabulary}; leave it out"
    )


def _templated(query: Query, tokenizer: Any) -> str:
    messages = [message.as_json() for message in query.conversation]
    if query.continues:
        messages[-1]["content"] = TEXT
    try:
        text: str = tokenizer.apply_chat_template(
            messages,
            tokenize=False,
            add_generation_prompt=not query.continues,
            continue_final_message=query.continues,
        )
        if query.continues and not text.endswith(TEXT):
            raise ValueError("it has no place where the last message can go on")
    except Exception as error:  # whatever the model's own template raises
        reason = f"the chat template refuses: {first_line(error)}"
        field = CONTINUE_FINAL_MESSAGE if query.continues else "messages"
        raise InvalidField(reason, field) from error
    return text.removesuffix(TEXT) + query.begun if query.continues else text


def _plain(query: Query) -> str:
    """What there is of the answer stands right behind the text, as the answer's own tokens do.
    Raises InvalidField for a conversation, which only a chat template puts into one text."""
    if len(query.asked) > 1:
        raise InvalidField(
            f"this model has no chat template: send one user message, not {len(query.messages)} "
            "messages",
            "messages",
        )
    return "".join(message.content for message in query.conversation)
