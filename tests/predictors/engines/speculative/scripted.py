"""Both sides of the engine without a model: a large one that says a given text, and a drafter that
is wrong at given places, over a link and with passes that take as long as is said."""

import asyncio
import random
from collections.abc import Sequence as Rows
from dataclasses import dataclass, field

from predictors.contract import Sampling
from predictors.contract.speculation import Round, Verdict, VerifyModel, Whole
from predictors.engines.speculative.base import Drafted

VOCABULARY = 50
END = 49


def text(length: int, seed: int = 0) -> list[int]:
    """Tokens of an answer, and its end."""
    drawn = random.Random(seed)
    return [*(drawn.randrange(1, 40) for _ in range(length - 1)), END]


@dataclass
class ScriptedVerifier:
    """Answers every prompt with `answer`. Seconds: of the `link` there and back, of a pass."""

    answer: list[int]
    link: float = 0.0
    check_seconds: float = 0.0
    most_rounds: int = 64
    passes: int = 0
    rounds: list[Round] = field(default_factory=list)
    shuffled: random.Random | None = None  # answers come in any order
    breaks_after: int | None = None  # rounds
    known: dict[str, int] = field(default_factory=dict)  # tokens of the answer, by sequence
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    url = "http://scripted"

    async def model(self, near: object = None) -> VerifyModel:
        return VerifyModel(tokenizer="t", vocabulary=VOCABULARY, end_tokens=[END], room=4096)

    def takes(self, sampling: Sampling) -> str | None:
        return None

    async def check(self, round: Round, whole: Whole, vocabulary: int) -> Verdict:
        self.rounds.append(round)
        late = self.shuffled.uniform(0, self.link) if self.shuffled else 0.0
        await asyncio.sleep(self.link / 2 + late)
        async with self.turn:
            verdict = await self._verdict(round, whole)
        late = self.shuffled.uniform(0, self.link) if self.shuffled else 0.0
        await asyncio.sleep(self.link / 2 + late)
        return verdict

    async def _verdict(self, round: Round, whole: Whole) -> Verdict:
        known = self.known.setdefault(round.id, 0)
        at = round.at - whole.prompt
        said = self.answer
        path = [*whole.tokens[whole.prompt :], *round.pending, *round.draft]
        same = 0
        while same < min(len(path), len(said)) and path[same] == said[same]:
            same += 1
        if same < at:
            return self._told(at, 0, [], 0)
        end = min(same + 1, len(said))
        passes = int(end > known)
        if passes:
            self.passes += 1
            await asyncio.sleep(self.check_seconds)
            self.known[round.id] = end
        return self._told(at, same - at, said[at:end], passes)

    def _told(self, at: int, accepted: int, tokens: list[int], passes: int) -> Verdict:
        count = len(tokens)
        seconds = self.check_seconds * passes
        return Verdict(
            min(accepted, count),
            tokens,
            [-0.5] * count,
            [0.5] * count,
            at,
            passes=passes,
            seconds=seconds,
            held=seconds,
        )

    async def close(self) -> None:
        return None


@dataclass
class ScriptedDrafter:
    """Drafts `answer`, where a token is wrong with the chance 1 - `accuracy`: then its second
    choice is right with the chance `second`. A step takes `step` seconds."""

    answer: list[int]
    accuracy: float = 1.0
    step: float = 0.0
    second: float = 0.0
    seed: int = 0
    answers: bool = True
    branches: int = 0
    full: bool = False

    async def start(self) -> None:
        return None

    async def close(self) -> None:
        return None

    def cause_of_death(self) -> str | None:
        return None

    def begin(self, id: str) -> None:
        return None

    def end(self, id: str) -> None:
        return None

    async def place(self, id: str) -> None:
        return None

    async def draft(self, id: str, whole: Whole, count: int) -> Drafted:
        await asyncio.sleep(count * self.step)
        return self._drafted(whole, count)

    async def branch(self, id: str, wholes: Rows[Whole], count: int) -> list[Drafted]:
        await asyncio.sleep(count * self.step)
        return [self._drafted(whole, count) for whole in wholes]

    def _drafted(self, whole: Whole, count: int) -> Drafted:
        begin = len(whole.tokens) - whole.prompt
        pairs = [self._at(place) for place in range(begin, min(begin + count, len(self.answer)))]
        tokens = [pair[0] for pair in pairs]
        return Drafted(
            tokens,
            seconds=len(tokens) * self.step,
            others=[pair[1] for pair in pairs] if self.branches else None,
            logprobs=[-0.1] * len(tokens),
            margins=[0.9] * len(tokens),
        )

    def _at(self, place: int) -> tuple[int, int]:
        drawn = random.Random(f"{self.seed} {place}")
        right = self.answer[place]
        wrong = (right + drawn.randrange(1, 40)) % 40
        if drawn.random() < self.accuracy:
            return right, wrong
        return wrong, right if drawn.random() < self.second else (wrong + 1) % 40
