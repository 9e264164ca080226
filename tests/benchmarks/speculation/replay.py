"""A drafter that is right as often as is wanted: it replays the verifier's own greedy answer, with
a seeded share of wrong tokens.

It may run a real small model beside that, whose tokens are thrown away: then drafting takes as long
as it does.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from predictors.contract.speculation import Whole
from predictors.engines.speculative.base import Drafted, Drafter

FIRST_WORD: Final = 4  # tokens below it are special ones, which nobody drafts by mistake

Prompt = tuple[int, ...]


class Place(NamedTuple):
    token: int  # that is drafted
    other: int  # the drafter's second choice


class Replay:
    """What to draft in each place of known answers. A place is wrong with probability 1 -
    `acceptance`, whatever stands in the others, and always or never. There the second choice is
    right with probability `second`."""

    def __init__(
        self,
        answers: Mapping[Prompt, Sequence[int]],
        acceptance: float,
        vocabulary: int,
        second: float = 0.0,
    ) -> None:
        self._acceptance, self._second, self._vocabulary = acceptance, second, vocabulary
        self._places = {
            prompt: [self._place(token, chance) for token in answer]
            for prompt, answer in answers.items()
            for chance in [random.Random(repr(prompt))]
        }

    def __call__(self, prompt: Sequence[int], place: int, count: int) -> list[int]:
        return [each.token for each in self.places(prompt, place, count)]

    def places(self, prompt: Sequence[int], place: int, count: int) -> list[Place]:
        return self._places[tuple(prompt)][place : place + count]

    def _place(self, token: int, chance: random.Random) -> Place:
        right, second = chance.random() < self._acceptance, chance.random() < self._second
        wrong, other = self._others(token, chance)
        if right:
            return Place(token, wrong)
        return Place(wrong, token if second else other)

    def _others(self, token: int, chance: random.Random) -> list[int]:
        """Two wrong ones."""
        chosen = chance.sample(range(FIRST_WORD, self._vocabulary), 3)
        return [each for each in chosen if each != token][:2]


class ReplayDrafter:
    """In place of `inner`, at its pace: the small model takes each step, and its tokens are
    thrown away."""

    def __init__(self, inner: Drafter, replay: Replay) -> None:
        self._inner = inner
        self._replay = replay

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def draft(self, id: str, whole: Whole, count: int) -> Drafted:
        return self._replayed(whole, await self._inner.draft(id, whole, count))

    async def branch(self, id: str, wholes: Sequence[Whole], count: int) -> list[Drafted]:
        drafts = await self._inner.branch(id, wholes, count)
        return [self._replayed(*each) for each in zip(wholes, drafts, strict=False)]

    def _replayed(self, whole: Whole, drafted: Drafted) -> Drafted:
        place = len(whole.tokens) - whole.prompt
        places = self._replay.places(whole.tokens[: whole.prompt], place, len(drafted.tokens))
        tokens, others = [each.token for each in places], [each.other for each in places]
        return replace(drafted, tokens=tokens, others=others, logprobs=(), margins=())
