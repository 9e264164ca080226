"""The questions of the benchmarks, and what the large model's greedy answers to them are."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from transformers import AutoTokenizer

from predictors.contract.query import Sampling
from predictors.contract.speculation import Drawing, Round, Verdict, Whole
from predictors.embedded import directory
from predictors.embedded.workshop.questions import LONG, test_questions

TOKENS: Final = 96  # of an answer, at most; the long pair's own have 77
GREEDY: Final = Sampling(max_tokens=TOKENS, temperature=0.0, repetition_penalty=1.0)
DRAWING: Final = Drawing.of(GREEDY, 1, coupled=True)
AT_ONCE: Final = 8

Check = Callable[[Round], Awaitable[Verdict]]


@dataclass(frozen=True)
class Asked:
    """`answer`: the tokens of the large model's own answer, its end token included."""

    text: str
    prompt: tuple[int, ...]
    answer: tuple[int, ...] = ()


def questions(count: int) -> list[Asked]:
    """Of the long pair's test set, which neither of its models was trained on."""
    tokenizer = AutoTokenizer.from_pretrained(directory("embedded:long-cloud"))
    chosen = test_questions(LONG)
    found = []
    for question in chosen[:: len(chosen) // count][:count]:
        chat = [{"role": "user", "content": question.query}]
        prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        found.append(Asked(question.query, tuple(prompt)))
    return found


async def answered(
    asked: list[Asked], check: Check, ends: frozenset[int], limit: int
) -> list[Asked]:
    """The same with their answers, at most `limit` tokens of each, one token a pass."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(each: Asked) -> Asked:
        async with places:
            rounds = sequence(each.prompt, check, lambda place: [], ends, limit)
            tokens = [token async for verdict in rounds for token in verdict.tokens]
        return Asked(each.text, each.prompt, tuple(tokens))

    return list(await asyncio.gather(*map(one, asked)))


async def sequence(
    prompt: tuple[int, ...],
    check: Check,
    draft: Callable[[int], list[int]],
    ends: frozenset[int],
    limit: int,
) -> AsyncIterator[Verdict]:
    """Verdicts of one answer, one round after another; `draft(place)` is told behind so many
    tokens."""
    id = f"{random.getrandbits(96):024x}"
    known, last = list(prompt), -1
    whole: Whole | None = Whole(
        tokens=list(prompt), prompt=len(prompt), drawing=DRAWING, max_tokens=limit
    )
    while (place := len(known) - len(prompt)) < limit and last not in ends:
        drafted = draft(place)[: limit - place - 1]
        verdict = await check(Round(id=id, at=len(known), draft=drafted, whole=whole))
        whole = None
        known += verdict.tokens
        last = known[-1]
        yield verdict
