"""Whether a vLLM server numbers tokens as the model here does, and which of them end its answers.

It tells neither. What it makes of all numbers, /detokenize tells, in some calls. Where something in
between does not pass that on, the numbers of one text are compared. What ends an answer is tried,
with each special token: vLLM is made to choose it, and tells why it stopped.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from predictors.engines.side_by_side import side_by_side
from predictors.engines.speculative.base import DraftingModel
from predictors.engines.speculative.vllm_ways import COMPLETIONS, GREEDY, generated
from predictors.errors import UpstreamError

log = logging.getLogger(__name__)

DETOKENIZE: Final = "/detokenize"
AT_ONCE: Final = 4096  # tokens of one call
MOST_ENDS: Final = 512  # special tokens that are tried
ENDS_AT_ONCE: Final = 16
NOT_PASSED_ON: Final = frozenset({403, 404, 405, 501})
# Figures, capitals, blanks, code, an accent and other scripts: tokenizers differ in all of them.
PROBE: Final = (
    "In 2024, 3 ÷ 7 ≈ 0.428571; naïve café — Straße.\n\tdef f(x):  return x**2  # 12345678\n"
    "Быстрая лиса 快速的棕色狐狸 السلام 😀 DON'T antidisestablishmentarianism"
)

Post = Callable[[str, dict[str, Any], Callable[[Any], Any]], Awaitable[Any]]


async def same_tokens(post: Post, url: str, model: str, tokenizer: Any) -> bool:
    """Raises UpstreamError."""
    try:
        differs = await _first_difference(post, model, tokenizer, 0, len(tokenizer))
    except UpstreamError as error:
        if error.answered not in NOT_PASSED_ON:
            raise
        return await _same_text(post, url, model, tokenizer)
    if differs is None:
        return True
    log.warning("of %s token %d is %.40r here, and %.40r there", url, *differs)
    return False


async def _first_difference(
    post: Post, model: str, tokenizer: Any, begin: int, end: int
) -> tuple[int, str, str] | None:
    """Of the tokens from `begin` to before `end`: a number, and what it is on both sides."""
    for first in range(begin, end, AT_ONCE):
        last = min(first + AT_ONCE, end)
        here, there = await _texts(post, model, tokenizer, first, last)
        if here == there:
            continue
        while last - first > 1:
            middle = (first + last) // 2
            one = await _texts(post, model, tokenizer, first, middle)
            first, last = (first, middle) if one[0] != one[1] else (middle, last)
        return (first, *await _texts(post, model, tokenizer, first, last))
    return None


async def _texts(post: Post, model: str, tokenizer: Any, first: int, last: int) -> tuple[str, str]:
    numbers = list(range(first, last))
    there = await post(DETOKENIZE, {"model": model, "tokens": numbers}, _text)
    return tokenizer.decode(numbers), there


def _text(body: Any) -> str:
    if not isinstance(body, dict) or not isinstance(body.get("prompt"), str):
        raise ValueError("no text of tokens, which a vLLM server answers")
    return str(body["prompt"])


async def _same_text(post: Post, url: str, model: str, tokenizer: Any) -> bool:
    asked = {"model": model, "prompt": PROBE, "max_tokens": 1, "return_token_ids": True}
    here = tokenizer.encode(PROBE)
    if await post(COMPLETIONS, asked, _numbers) != here:
        return False
    log.warning(
        "%s passes no %s on: that it numbers tokens as the model here is known of one text of %d "
        "tokens only",
        *(url, DETOKENIZE, len(here)),
    )
    return True


def _numbers(body: Any) -> list[int]:
    try:
        return list(body["choices"][0]["prompt_token_ids"])
    except (KeyError, TypeError, IndexError):
        raise ValueError("no prompt_token_ids, which a vLLM server answers") from None


async def end_tokens(post: Post, model: str, near: DraftingModel) -> frozenset[int]:
    """Those of the model there. Raises UpstreamError."""
    special = {*near.tokenizer.all_special_ids}
    added = getattr(near.tokenizer, "added_tokens_decoder", {})
    special.update(number for number, token in added.items() if token.special)
    known = sorted(near.end_tokens)
    tried = [*known, *sorted(special - {*known})][:MOST_ENDS]

    async def ends(token: int) -> bool:
        asked = {**GREEDY, "model": model, "prompt": [token], "allowed_token_ids": [token]}
        return bool(await post(COMPLETIONS, asked, lambda body: _ended(body, token)))

    ended = await side_by_side((ends(token) for token in tried), ENDS_AT_ONCE)
    return frozenset(token for token, does in zip(tried, ended, strict=True) if does)


def _ended(body: Any, token: int) -> bool:
    try:
        chosen = generated(body["choices"][0])
    except (KeyError, TypeError, IndexError):
        raise ValueError("no choice") from None
    if chosen.token != token:
        raise ValueError(
            f"token {chosen.token}, where only {token} was allowed, which a vLLM server keeps to"
        )
    return bool(chosen.ends)
