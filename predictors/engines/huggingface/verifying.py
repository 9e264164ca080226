"""The verify side of speculative decoding: sequences whose drafts the model checks, many in a pass.

What a round asks is answered from what is known, where that is enough. Else its draft goes through
the model, and more is known.
"""

import asyncio
import time
from collections.abc import Callable, Sequence as Rows
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import torch

from predictors.contract.speculation import Forgotten, PassCost, Round, Verdict
from predictors.engines.huggingface.accepting import Accepted, Checked, Drafted, Place, accept_all
from predictors.engines.huggingface.loading import Loaded
from predictors.engines.huggingface.pass_cost import LiveCost, measured
from predictors.engines.huggingface.remembering import Memory, Remembered, common
from predictors.engines.huggingface.slots import Slots
from predictors.engines.huggingface.stepping import FEW_TOKENS, Feed, Spent, Stepper
from predictors.errors import ContextTooLong, InvalidRequest

PART_TOKENS: Final = 256  # of a prompt that go through the model at once
WAIT_SHARE: Final = 0.3  # of what a pass costs whoever is in it: how long it waits for the others


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
        self.count = count
        self._model = model
        # Some drafted tokens may go beyond the end, to be taken back.
        self._slots = Slots(model.model, count, self.room + FEW_TOKENS)
        self._around = around
        self._live: LiveCost | None = None  # after the start
        self.stepper = Stepper[Check](self._slots, count, around, take_all)
        self._memory = Memory(count)

    async def start(self) -> None:
        """Raises whatever the model does."""
        cost = await asyncio.to_thread(self._measured)
        self._live = LiveCost(cost)
        self.stepper.gathering.seconds = WAIT_SHARE * cost.fixed
        if cost.token > 0:
            self.stepper.pass_tokens = cost.fixed / cost.token
        self.stepper.on_pass = self._took
        self.stepper.start()

    @property
    def cost(self) -> PassCost | None:
        """Of a pass, of late; None before the start."""
        return None if self._live is None else self._live.now

    def _took(self, rows: int, tokens: int, seconds: float) -> None:
        assert self._live is not None
        if self._live.took(rows, tokens, seconds):
            self.stepper.gathering.seconds = WAIT_SHARE * self._live.now.fixed

    def _measured(self) -> PassCost:
        with self._around():
            return measured(self._slots)

    async def close(self) -> None:
        await self.stepper.close()

    async def check(self, round: Round) -> Verdict:
        """Raises Forgotten, ContextTooLong, InvalidRequest for what can't be, EngineError where the
        model fails."""
        arrived = time.perf_counter()
        self._require(round)
        async with self._memory.held(round) as sequence:
            sequence.waiting.append(round)
            try:
                async with sequence.turn:
                    return await self._answered(sequence, round, arrived)
            finally:
                sequence.waiting.remove(round)

    def forget(self, id: str) -> None:
        """Of a sequence that nobody asks about any more: another one has its slot at once."""
        self._memory.forget(id)

    async def _answered(self, sequence: Remembered, round: Round, arrived: float) -> Verdict:
        if round.whole is not None and not sequence.agrees(round.whole):
            sequence.begin(round.whole)
        cached, spent = min(sequence.cached, round.at - 1), Spent()
        while unchecked(sequence, round) is not None:
            more = await self.stepper.run(Check(sequence, _longest(sequence, round), self._model))
            spent = spent.and_(more)
        start, end, accepted = known(sequence, round)
        said = sequence.said[start - sequence.told : end - sequence.told]
        return Verdict(
            accepted=accepted,
            tokens=sequence.tokens[start:end],
            logprobs=[logprob for logprob, _ in said],
            margins=[margin for _, margin in said],
            cached=cached,
            passes=spent.passes,
            rows=max(spent.rows, 1),
            seconds=spent.seconds,
            held=time.perf_counter() - arrived,
            cost=None if round.whole is None else self.cost,
        )

    def _require(self, round: Round) -> None:
        told = [*round.draft, *round.pending, *(round.whole.tokens if round.whole else [])]
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


def unchecked(sequence: Remembered, round: Round) -> list[int] | None:
    """What the round has behind all that is known, an empty draft included; None where it is
    answered by that. Raises Forgotten."""
    tokens = sequence.tokens
    if len(tokens) < round.known:
        raise Forgotten(f"{round.id} has {len(tokens)} tokens, not {round.known}")
    if sequence.ended:
        return None
    given = [*round.pending, *round.draft]
    behind = len(tokens) - round.known
    return given[behind:] if tokens[round.known :] == given[:behind] else None


def known(sequence: Remembered, round: Round) -> tuple[int, int, int]:
    """Where the tokens for the round begin and end, and how many of its draft are among them.
    Raises Forgotten, InvalidRequest."""
    tokens = sequence.tokens
    given = [*round.pending, *round.draft]
    same = common(tokens[round.known : round.known + len(given)], given)
    accepted = same - len(round.pending)
    if accepted < 0:
        return round.at, round.at, 0
    end = min(round.at + accepted + 1, len(tokens))
    if end <= round.at and not round.pending:
        raise InvalidRequest(f"the answer of {round.id} has ended before token {round.at}")
    if end > round.at and round.at < sequence.told:
        raise Forgotten(f"{round.id} is known from token {sequence.told} on, not {round.at}")
    return round.at, end, accepted


def _longest(sequence: Remembered, round: Round) -> Round:
    """Of the rounds that wait, the one that the pass for this one answers, too: with several under
    way, each of them goes on where the last one ended."""
    if not sequence.whole.drawing.coupled:
        return round
    best, most = round, unchecked(sequence, round) or []
    for other in sequence.waiting:
        if len(sequence.tokens) >= other.known:
            behind = unchecked(sequence, other)
            if behind is not None and len(behind) > len(most) == common(behind, most):
                best, most = other, behind
    return best


class Check:
    """One round in the stepper's thread."""

    def __init__(self, sequence: Remembered, round: Round, model: Loaded) -> None:
        self.slot = sequence.slot
        self._sequence = sequence
        self._round = round
        self._model = model
        self._whole = sequence.whole  # that it is computed for
        self._draft: list[int] | None = None  # in what was fed
        self._fed = 0

    @property
    def last(self) -> bool:
        return self._sequence.ended

    @property
    def _stale(self) -> bool:
        """Its caller has left, and another one has begun anew."""
        return self._sequence.whole is not self._whole

    def feed(self) -> Feed | None:
        with self._sequence.changing:
            return None if self._draft is not None or self._stale else self._feed()

    def _feed(self) -> Feed | None:
        sequence = self._sequence
        draft = unchecked(sequence, self._round)
        if draft is None:  # a round before this one, whose caller has left, has answered it
            return None
        missing = sequence.tokens[sequence.cached :]
        if len(missing) > PART_TOKENS:
            self._fed = PART_TOKENS
            return Feed(sequence.cached, missing[:PART_TOKENS], read=1)
        self._draft = draft
        return Feed(sequence.cached, [*missing, *draft], read=len(draft) + 1)

    def checked(self, logits: torch.Tensor) -> Checked | None:
        """None where only a part of the prompt was fed, or nobody needs it any more."""
        with self._sequence.changing:
            return None if self._draft is None or self._stale else self._checked(logits)

    def _checked(self, logits: torch.Tensor) -> Checked:
        assert self._draft is not None
        sequence, whole = self._sequence, self._whole
        prompt, answer = whole.tokens[: whole.prompt], sequence.tokens[whole.prompt :]
        place = Place(sequence.sampling, whole.drawing.key, prompt, answer)
        drafted = Drafted(self._draft, self._spread(logits))
        return Checked(place, drafted, whole.drawing.coupled, logits)

    def take(self, logits: torch.Tensor) -> None:
        take_all([self], [logits])

    def keep(self, got: Accepted | None) -> None:
        """None: see `checked`."""
        with self._sequence.changing:
            if not self._stale:
                self._keep(got)

    def _keep(self, got: Accepted | None) -> None:
        sequence = self._sequence
        if got is None:
            sequence.cached += self._fed
            return
        tokens = self._ended(got.tokens)
        # Of the model's own token nothing is cached yet.
        sequence.cached = len(sequence.tokens) + min(got.drafted, len(tokens))
        told = zip(got.logprobs, got.margins, strict=True)
        sequence.said += list(told)[: len(tokens)]
        sequence.tokens += tokens

    def _ended(self, tokens: list[int]) -> list[int]:
        """Up to a token that ends the answer."""
        sequence, whole = self._sequence, self._sequence.whole
        for place, token in enumerate(tokens):
            if token in self._model.end_tokens:
                tokens = tokens[: place + 1]
                sequence.ended = True
                break
        if whole.max_tokens is not None:
            left = whole.prompt + whole.max_tokens - len(sequence.tokens)
            if left <= len(tokens):
                sequence.ended = True
                return tokens[: max(left, 0)]
        return tokens

    def _spread(self, like: torch.Tensor) -> torch.Tensor | None:
        """[drafted, vocabulary]"""
        if self._round.drawn_from is None or not self._draft:
            return None
        rows = self._round.drawn_from[-len(self._draft) :]
        spread = like.new_zeros(len(rows), like.shape[-1], dtype=torch.float32)
        for row, likely in zip(spread, rows, strict=True):
            tokens = torch.tensor(likely.tokens, device=row.device)
            row[tokens] = row.new_tensor(likely.probabilities)
        return spread


def take_all(checks: Rows[Check], logits: Rows[torch.Tensor]) -> None:
    """Of one pass: of each its own [tokens, vocabulary]."""
    asked = [check.checked(rows) for check, rows in zip(checks, logits, strict=True)]
    got = iter(accept_all([each for each in asked if each is not None]))
    for check, each in zip(checks, asked, strict=True):
        check.keep(None if each is None else next(got))
