"""The verify side of speculative decoding: sequences whose drafts the model checks, many in a pass.

A sequence has a slot of the cache while there is room. The one that was idle for longest makes room
for another, and is forgotten: its draft side tells it again, whole, and nothing is lost but the
time to compute it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final

import torch

from predictors.contract.speculation import Forgotten, Round, Verdict, Whole
from predictors.engines.huggingface.accepting import Accepted, Drafted, Place, accept
from predictors.engines.huggingface.loading import Loaded
from predictors.engines.huggingface.slots import Slots
from predictors.engines.huggingface.stepping import FEW_TOKENS, Feed, Stepper
from predictors.errors import ContextTooLong, InvalidRequest

PART_TOKENS: Final = 256  # of a prompt that go through the model at once


@dataclass(slots=True, eq=False)
class _Sequence:
    """`tokens` both sides know, of which `cached` are in the slot. `last` answers a round that is
    told twice, as its answer was lost."""

    slot: int
    tokens: list[int]
    whole: Whole
    cached: int = 0
    last: tuple[Round, Verdict] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Verifier:
    """Checks drafts for at most `count` sequences at once, of at most `room` tokens."""

    def __init__(
        self,
        model: Loaded,
        count: int,
        room: int,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """`around`: see Stepper."""
        self.room = min(room, model.context)
        self._model = model
        # Some drafted tokens may go beyond the end, to be taken back.
        self.stepper = Stepper(Slots(model.model, count, self.room + FEW_TOKENS), count, around)
        self._free = list(range(count))
        self._sequences: OrderedDict[str, _Sequence] = OrderedDict()
        self._left = asyncio.Condition()

    async def start(self) -> None:
        self.stepper.start()

    async def close(self) -> None:
        await self.stepper.close()

    async def check(self, round: Round) -> Verdict:
        """Raises Forgotten, ContextTooLong, InvalidRequest for what can't be, EngineError where the
        model fails."""
        self._require(round)
        async with self._held(round) as sequence:
            if sequence.last is not None and _same(sequence.last[0], round):
                return sequence.last[1]
            if len(sequence.tokens) != round.at:
                raise Forgotten(f"{round.id} has {len(sequence.tokens)} tokens, not {round.at}")
            cached = sequence.cached
            work = _Check(sequence, round)
            await self.stepper.run(work)
            got = work.accepted
            assert got is not None
            tokens = self._ended(got)
            sequence.tokens += tokens
            verdict = Verdict(
                accepted=min(got.drafted, len(tokens)),
                tokens=tokens,
                logprobs=[min(value, 0.0) for value in got.logprobs[: len(tokens)]],
                margins=got.margins[: len(tokens)],
                cached=cached,
            )
            sequence.last = (round, verdict)
            return verdict

    def _ended(self, got: Accepted) -> list[int]:
        """Up to a token that ends the answer."""
        for place, token in enumerate(got.tokens):
            if token in self._model.end_tokens:
                return got.tokens[: place + 1]
        return got.tokens

    def _require(self, round: Round) -> None:
        told = [*round.draft, *(round.whole.tokens if round.whole else [])]
        told += [token for likely in round.drawn_from or [] for token in likely.tokens]
        if told and max(told) >= self._model.vocabulary:
            raise InvalidRequest(
                f"token {max(told)} is none of the {self._model.vocabulary} of this model"
            )
        if round.at + len(round.draft) >= self.room:
            raise ContextTooLong(
                f"{round.at} tokens and {len(round.draft)} drafted ones are more than the "
                f"{self.room} that are checked here"
            )

    @asynccontextmanager
    async def _held(self, round: Round) -> AsyncIterator[_Sequence]:
        """One round of a sequence at a time. Raises Forgotten."""
        sequence = self._sequences.get(round.id)
        if round.whole is not None and (sequence is None or sequence.tokens != round.whole.tokens):
            sequence = await self._remembered(round.id, round.whole)
        if sequence is None:
            raise Forgotten(f"{round.id} is not known here")
        async with sequence.turn:
            self._sequences.move_to_end(round.id)
            try:
                yield sequence
            finally:
                async with self._left:
                    self._left.notify_all()

    async def _remembered(self, id: str, whole: Whole) -> _Sequence:
        """In place of what was known of it, or of the one that was idle for longest."""
        async with self._left:
            while (slot := self._slot(id)) is None:
                await self._left.wait()
        sequence = self._sequences[id] = _Sequence(slot, list(whole.tokens), whole)
        return sequence

    def _slot(self, id: str) -> int | None:
        """None while all are busy."""
        if (known := self._sequences.get(id)) is not None and not known.turn.locked():
            return known.slot
        if self._free:
            return self._free.pop()
        for other, sequence in self._sequences.items():
            if not sequence.turn.locked():
                del self._sequences[other]
                return sequence.slot
        return None


class _Check:
    """One round in the stepper's thread."""

    def __init__(self, sequence: _Sequence, round: Round) -> None:
        self.slot = sequence.slot
        self.accepted: Accepted | None = None
        self._sequence = sequence
        self._draft = round
        self._fed = 0

    def feed(self) -> Feed | None:
        if self.accepted is not None:
            return None
        sequence = self._sequence
        known = sequence.tokens[sequence.cached :]
        last = len(known) <= PART_TOKENS
        tokens = [*known, *self._draft.draft] if last else known[:PART_TOKENS]
        self._fed = len(tokens)
        return Feed(sequence.cached, tokens)

    def take(self, logits: torch.Tensor) -> None:
        sequence, draft = self._sequence, self._draft.draft
        left = len(sequence.tokens) + len(draft) - sequence.cached
        if self._fed < left:
            sequence.cached += self._fed
            return
        whole = sequence.whole
        prompt, answer = whole.tokens[: whole.prompt], sequence.tokens[whole.prompt :]
        place = Place(whole.drawing.sampling(), whole.drawing.key, prompt, answer)
        drafted = Drafted(draft, _spread(self._draft, logits))
        own = logits[-len(draft) - 1 :].clone()
        self.accepted = accept(own, place, drafted, coupled=whole.drawing.coupled)
        # Of the model's own token nothing is cached yet.
        sequence.cached = len(sequence.tokens) + self.accepted.drafted


def _spread(round: Round, like: torch.Tensor) -> torch.Tensor | None:
    """[drafted, vocabulary]"""
    if round.drawn_from is None:
        return None
    spread = like.new_zeros(len(round.draft), like.shape[-1], dtype=torch.float32)
    for row, likely in zip(spread, round.drawn_from, strict=True):
        row[torch.tensor(likely.tokens, device=row.device)] = row.new_tensor(likely.probabilities)
    return spread


def _same(one: Round, other: Round) -> bool:
    return (one.at, one.draft) == (other.at, other.draft)
