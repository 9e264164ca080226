"""A drafter that is right as often as is wanted: it replays the verifier's own greedy answer, with
a seeded share of wrong tokens.

It may run a real small model beside that, whose tokens are thrown away: then drafting takes as long
as it does.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from predictors.contract.speculation import Whole
from predictors.engines.speculative.base import Drafted, Drafter

FIRST_WORD: Final = 4  # tokens below it are special ones, which nobody drafts by mistake

Prompt = tuple[int, ...]


class Replay:
    """What to draft in each place of known answers. A place is wrong with probability 1 -
    `acceptance`, whatever stands in the others, and always or never."""

    def __init__(
        self, answers: Mapping[Prompt, Sequence[int]], acceptance: float, vocabulary: int
    ) -> None:
        self._drafts = {
            prompt: [
                token if chance.random() < acceptance else _other(token, vocabulary, chance)
                for token in answer
            ]
            for prompt, answer in answers.items()
            for chance in [random.Random(repr(prompt))]
        }

    def __call__(self, prompt: Sequence[int], place: int, count: int) -> list[int]:
        return self._drafts[tuple(prompt)][place : place + count]


class ReplayDrafter:
    """In place of `inner`, at its pace: the small model takes each step, and its tokens are
    thrown away."""

    def __init__(self, inner: Drafter, replay: Replay) -> None:
        self._inner = inner
        self._replay = replay

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def draft(self, id: str, whole: Whole, count: int) -> Drafted:
        drafted = await self._inner.draft(id, whole, count)
        place = len(whole.tokens) - whole.prompt
        tokens = self._replay(whole.tokens[: whole.prompt], place, len(drafted.tokens))
        return replace(drafted, tokens=tokens, others=None, logprobs=(), margins=())


def _other(token: int, vocabulary: int, chance: random.Random) -> int:
    while True:
        other = chance.randrange(FIRST_WORD, vocabulary)
        if other != token:
            return other
