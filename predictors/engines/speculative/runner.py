"""One sequence to its end: drafts on while earlier drafts are checked.

Each block of drafted tokens leaves at once. Verdicts come in any order. Where a token is refused,
what was built on it is dropped, and drafting goes on from the large model's own token: rounds that
are still under way behind a refused token cost the verify side no pass (see contract.speculation),
and nobody waits for them.
"""

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from predictors.contract.speculation import (
    MOST_DRAFTED,
    SHOWN,
    Drawing,
    Likely,
    Round,
    Verdict,
    VerifyModel,
    Whole,
)
from predictors.engines.speculative.base import Drafted, Drafter, Verifier
from predictors.engines.speculative.branching import Branching, Way
from predictors.engines.speculative.chain import Chain, Flight
from predictors.engines.speculative.pace import Pace
from predictors.engines.speculative.tally import Tally
from predictors.errors import EngineError
from predictors.upstream.traffic import LINK

if TYPE_CHECKING:
    from predictors.engines.huggingface.sequence import Sequence

T = TypeVar("T")

log = logging.getLogger(__name__)

LAST_WAIT_SECONDS: Final = 5.0


@dataclass(slots=True)
class Parts:
    """What all sequences of an engine share. `most_rounds` of one may be under way."""

    drafter: Drafter
    verifier: Verifier
    far: VerifyModel
    pace: Pace
    leftovers: "Leftovers"
    most_rounds: int


class Leftovers:
    """Rounds that nobody waits for any more: broken off they would cost their connections."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Verdict]] = set()

    def add(self, task: asyncio.Task[Verdict]) -> None:
        if not task.done():
            self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Verdict]) -> None:
        self._tasks.discard(task)
        _read(task)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_WAIT_SECONDS)


class Runner:
    """Of `sequence`, drawn by `drawing`, and checked by `verifier`, whose model is `far`."""

    def __init__(
        self,
        sequence: "Sequence",
        drawing: Drawing,
        parts: Parts,
        tally: Tally,
    ) -> None:
        self._sequence = sequence
        self._drawing = drawing
        self._parts = parts
        self._ends = frozenset(parts.far.end_tokens)
        self._tally = tally
        self._most = parts.most_rounds if drawing.coupled else 1
        self._id = f"{random.getrandbits(96):024x}"
        self._chain = Chain([*sequence.prompt, *sequence.tokens])
        self._waiting: dict[asyncio.Task[Verdict], _Left] = {}
        self._branching = Branching(parts.pace.second)
        self._branches: asyncio.Task[list[Drafted]] | None = None
        self._ways: list[Way] = []
        self._drafting: asyncio.Task[Drafted] | None = None
        self._behind: list[int] = []  # what is drafted now stands behind these
        self._silent = False  # the drafter has nothing to say here
        self._gives_up = False  # nor anywhere else: it has failed
        self._told = False  # the verify side has the sequence
        self._drawn_from: list[Likely] | None = None

    async def to_end(self) -> None:
        """Raises HEMError; then the sequence has what was checked by then."""
        drafter, pace = self._parts.drafter, self._parts.pace
        pace.far_cost = pace.far_cost or self._parts.far.cost
        drafter.begin(self._id)
        try:
            if self._most > 1:
                self._send(0)  # the prompt is computed while the first block is drafted
            while self._sequence.running:
                self._go_on()
                await self._news()
        finally:
            for task in self._waiting:
                self._parts.leftovers.add(task)
            try:
                await self._break_off()
            finally:
                drafter.end(self._id)
            tally, tokens = self._tally, len(self._sequence.tokens)
            tally.accepted += self._chain.taken
            pace.answered(tokens - 1, tally.computing - tally.prompt)

    def _go_on(self) -> None:
        """Drafts where that is worth it, and sends what is drafted; a round without a draft where
        nothing else goes on."""
        chain = self._chain
        while (count := chain.unsent) and len(chain.flights) < self._most:
            self._send(count)
        idle = self._drafting is None and self._branches is None and not self._gives_up
        if idle and not self._silent and len(chain.flights) < self._most and not self._branch():
            count = min(self._parts.pace.block(len(chain.ahead), self._most), self._room)
            if count > 0:
                self._draft(count)
        if self._drafting is None and self._branches is None and not chain.waits:
            self._send(0)

    @property
    def _room(self) -> int:
        """Tokens that may still be drafted: the far model's own comes behind."""
        sequence, ahead = self._sequence, self._chain.ahead
        if ahead and ahead[-1] in self._ends:
            return 0
        left = sequence.max_tokens - len(sequence.tokens) - len(ahead) - 1
        return min(left, MOST_DRAFTED)

    def _draft(self, count: int) -> None:
        self._behind = self._chain.path
        whole = self._whole(self._behind)
        self._drafting = asyncio.ensure_future(self._parts.drafter.draft(self._id, whole, count))

    def _branch(self) -> bool:
        """Whether other ways on are drafted for now."""
        drafter, pace, chain = self._parts.drafter, self._parts.pace, self._chain
        if not drafter.branches or self._most == 1 or chain.unsent:
            return False
        most = min(drafter.branches, self._most - len(chain.flights))
        ways = self._branching.best(chain.known, chain.ahead, pace.taken.value, most)
        count = min(pace.block(0, self._most), self._room + len(chain.ahead))
        if not ways or count < 1:
            return False
        self._ways = ways
        self._branching.left(ways, chain.path)
        wholes = [self._whole(way.path) for way in ways]
        self._branches = asyncio.ensure_future(drafter.branch(self._id, wholes, count))
        return True

    def _branched(self, drafts: list[Drafted]) -> None:
        chain, sequence = self._chain, self._sequence
        longest = len(sequence.prompt) + sequence.max_tokens - 1
        for way, drafted in zip(self._ways, drafts, strict=False):
            tokens = self._up_to_an_end(drafted.tokens)
            path = [*way.path, *tokens][:longest]
            if path[: len(chain.known)] != chain.known or way.at < len(chain.known):
                continue
            self._branching.drafted(len(way.path), tokens, drafted.others)
            self._fly(chain.branches(path, way.at))

    async def _news(self) -> None:
        tasks: set[asyncio.Task[Any]] = set(self._waiting)
        if self._drafting is not None:
            tasks.add(self._drafting)
        if self._branches is not None:
            tasks.add(self._branches)
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in [task for task in self._waiting if task in done]:
            self._judged(task)
        if self._drafting is not None and self._drafting in done:
            drafting, self._drafting = self._drafting, None
            self._drafted(self._of_drafter(drafting, Drafted([])))
        if self._branches is not None and self._branches in done:
            branches, self._branches = self._branches, None
            self._branched(self._of_drafter(branches, []))

    def _of_drafter(self, task: asyncio.Task[T], nothing: T) -> T:
        """Where it fails, the large model goes on alone, a token a round."""
        try:
            return task.result()
        except EngineError as error:
            self._gives_up = True
            log.warning("an answer goes on without drafts: %s", error)
            return nothing

    def _drafted(self, drafted: Drafted) -> None:
        """What is known may have grown meanwhile, as far as the draft goes on from it."""
        self._parts.pace.drafted(len(drafted.tokens), drafted.seconds)
        self._silent = not drafted.tokens
        self._drawn_from = drafted.drawn_from
        path = [*self._behind, *self._up_to_an_end(drafted.tokens)]
        self._branching.drafted(len(self._behind), drafted.tokens, drafted.others)
        chain = self._chain
        if path[: len(chain.path)] == chain.path:
            chain.ahead = path[len(chain.known) :]

    def _up_to_an_end(self, tokens: list[int]) -> list[int]:
        ends = [place for place, token in enumerate(tokens) if token in self._ends]
        return tokens[: ends[0] + 1] if ends else tokens

    def _send(self, count: int) -> None:
        """A round of the next `count` tokens ahead."""
        alone = not self._chain.flights
        self._fly(self._chain.leaves(count), alone=alone)

    def _fly(self, flight: Flight, *, alone: bool = False) -> None:
        count = len(flight.path) - flight.at
        whole = self._whole(flight.path[: flight.known])
        round = Round.model_construct(
            id=self._id,
            at=flight.at,
            draft=flight.draft,
            pending=flight.pending,
            whole=None if self._told else whole,
            drawn_from=self._drawn_from[:count] if self._drawn_from and count else None,
        )
        self._tally.left(count)
        task = asyncio.ensure_future(self._checked(round, whole))
        self._waiting[task] = _Left(flight, _now(), alone and self._told)
        self._told = True

    async def _checked(self, round: Round, whole: Whole) -> Verdict:
        LINK.set(self._tally.link)
        verdict: Verdict | None = None
        try:
            verdict = await self._parts.verifier.check(round, whole, self._parts.far.vocabulary)
            return verdict
        finally:
            self._tally.came(verdict)

    def _judged(self, task: asyncio.Task[Verdict]) -> None:
        flight, left, timed = self._waiting.pop(task)
        if flight not in self._chain.flights or self._sequence.ended:  # nobody cares
            return _read(task)
        verdict = task.result()
        if verdict.cost is not None:
            self._parts.pace.far_cost = verdict.cost
        if flight.path[: flight.at] == self._sequence.prompt and not flight.pending:
            self._tally.prompt = max(self._tally.prompt, verdict.seconds)
        else:
            seconds = _now() - left if timed else None
            self._parts.pace.checked(len(flight.draft), verdict, seconds)
        self._take(flight, verdict)

    def _take(self, flight: Flight, verdict: Verdict) -> None:
        chain, pace = self._chain, self._parts.pace
        taken, refused = chain.taken, chain.refused
        ahead, begin = list(chain.ahead), len(chain.known)
        for token, logprob, margin in chain.judged(flight, verdict):
            self._silent = False
            self._sequence.add(token, logprob, margin)
            if self._sequence.ended:
                break
        pace.judged(chain.taken - taken, chain.refused - refused)
        if chain.refused > refused and (place := chain.taken - taken) < len(ahead):
            said = chain.known[begin + place : begin + place + 1]
            if said:
                self._branching.refused(begin + place, ahead[place], said[0])
        if self._drafting is not None and chain.path[: len(self._behind)] != self._behind:
            _drop(self._drafting)
            self._drafting = None
        if self._branches is not None and chain.refused > refused:
            _drop(self._branches)
            self._branches = None

    async def _break_off(self) -> None:
        for task in filter(None, (self._drafting, self._branches)):
            task.cancel()
            await asyncio.wait([task])
            _read(task)

    def _whole(self, tokens: list[int]) -> Whole:
        sequence = self._sequence
        return Whole.model_construct(
            tokens=tokens,
            prompt=len(sequence.prompt),
            drawing=self._drawing,
            max_tokens=sequence.max_tokens,
            tokenizer=self._parts.far.tokenizer[:SHOWN],
            model=self._parts.far.identity[:SHOWN],
        )


class _Left(NamedTuple):
    """A round, when it left, and whether the time until its verdict tells of the link."""

    flight: Flight
    at: float
    timed: bool


def _now() -> float:
    return asyncio.get_running_loop().time()


def _drop(task: asyncio.Task[Any]) -> None:
    task.cancel()
    task.add_done_callback(_read)


def _read(task: asyncio.Task[Any]) -> None:
    """Of a task whose end nobody waits for: else Python complains that its error is not read."""
    if not task.cancelled():
        task.exception()
