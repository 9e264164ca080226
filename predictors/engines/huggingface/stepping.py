"""Many sequences' passes through a model with slots, together, in one thread.

Each of them says which tokens it wants to go through the model next, and reads their logits. What
wants few tokens goes in one pass; what wants many, as a prompt, has a pass of its own, in turns
with those, so that nobody waits for more than one.
"""

import asyncio
import logging
import math
import queue
import sys
import threading
import time
from collections.abc import Callable, Sequence as Rows
from contextlib import AbstractContextManager, nullcontext
from typing import Final, Generic, NamedTuple, Protocol, TypeAlias, TypeVar

import torch

from predictors.engines.huggingface.gathering import Gathering
from predictors.engines.huggingface.sequence import resolve
from predictors.engines.huggingface.slots import Slots
from predictors.engines.huggingface.widths import long_ones
from predictors.errors import EngineError, first_line

log = logging.getLogger(__name__)

FEW_TOKENS: Final = 32
JOIN_SECONDS: Final = 10.0
# A thread that computes gives the interpreter away for microseconds, too short for another one to
# wake up in; by Python's default the server's loop then waits 5 ms each time that it has to do.
SWITCH_SECONDS: Final = 0.0005
CLOSED: Final = "the engine is closed"


class Feed(NamedTuple):
    """`tokens` behind the `start` ones that the slot has. Of the last `read` of them the logits are
    taken; None: of all."""

    start: int
    tokens: list[int]
    read: int | None = None


class Spent(NamedTuple):
    """On one work: `passes`, the last one together with others, `rows` in all; `seconds` are its
    share of them, by tokens."""

    passes: int = 0
    rows: int = 0
    seconds: float = 0.0

    def and_(self, more: "Spent") -> "Spent":
        return Spent(self.passes + more.passes, more.rows or self.rows, self.seconds + more.seconds)


class Work(Protocol):
    """Of one sequence. Its methods are called in the stepper's thread."""

    slot: int

    @property
    def last(self) -> bool:
        """Whether nothing more comes of its sequence, once this is done."""
        ...

    def feed(self) -> Feed | None:
        """What goes through the model next; None where it is done."""
        ...

    def take(self, logits: torch.Tensor) -> None:
        """[tokens, vocabulary] of what was fed, as far as it is read."""
        ...


W = TypeVar("W", bound=Work)
# All works of a pass, and of each its logits. Where it raises, none has taken anything.
Together: TypeAlias = Callable[[Rows[W], Rows[torch.Tensor]], None]


class _Running(Generic[W]):
    def __init__(self, work: W, done: asyncio.Future[None]) -> None:
        self.work = work
        self.loop = asyncio.get_running_loop()
        self.done = done
        self.next: Feed | None = None  # what goes through the model with the next pass
        self.spent = Spent()
        self.cancelled = False

    def end(self, failure: str | None = None) -> None:
        self.loop.call_soon_threadsafe(resolve, self.done, failure)


class Stepper(Generic[W]):
    """At most `rows` of them in one pass. `around` is entered for each, as others may use the
    model, too. `together`: takes all logits of a pass at once, in place of each work's `take`."""

    def __init__(
        self,
        slots: Slots,
        rows: int,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
        together: Together[W] | None = None,
    ) -> None:
        self._slots = slots
        self._rows = rows
        self._around = around
        self._together = together
        self.gathering = Gathering()
        self.pass_tokens = math.inf  # see widths; until that is known all share a pass
        # Told in its thread of each pass of few tokens: rows, tokens as computed, seconds.
        self.on_pass: Callable[[int, int, float], None] | None = None
        self._arriving: queue.SimpleQueue[_Running[W] | None] = queue.SimpleQueue()
        self._running: list[_Running[W]] = []
        self._closed = False
        self._death: str | None = None
        self._thread = threading.Thread(target=self._live, daemon=True, name="step")

    def start(self) -> None:
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))
        self._thread.start()

    async def run(self, work: W) -> Spent:
        """Until it is done. Cancelled, it is left alone after the pass that it is in. Raises
        EngineError where the model, or the work itself, fails."""
        if self._closed or self._death:
            raise EngineError(self._death or CLOSED)
        running = _Running(work, asyncio.get_running_loop().create_future())
        self._arriving.put(running)
        if self._death:  # it ended meanwhile, and looks at nothing any more
            running.end(self._death)
        try:
            await running.done
        except asyncio.CancelledError:
            running.cancelled = True
            raise
        return running.spent

    def cause_of_death(self) -> str | None:
        return self._death

    async def close(self) -> None:
        self._closed = True
        self._arriving.put(None)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, JOIN_SECONDS)

    def _live(self) -> None:
        try:
            while self._arrive():
                self._step()
            self._fail(CLOSED)
        except BaseException as error:  # `sys.exit` in a model's own code, say
            log.exception("the thread that steps has ended")
            self._death = f"the thread that steps has ended: {error!r}"
            self._fail(self._death)

    def _arrive(self) -> bool:
        """Takes in who came, and waits where nobody is there, or for who is back soon. False once
        it is closed."""
        while True:
            try:
                came = self._arriving.get(timeout=self._patience())
            except queue.Empty:
                return True
            if came is None:
                return False
            self.gathering.came(came.work.slot)
            self._running.append(came)

    def _patience(self) -> float | None:
        return self.gathering.left() if self._running else None

    def _fail(self, cause: str) -> None:
        left = [self._arriving.get_nowait() for _ in range(self._arriving.qsize())]
        for running in (*self._running, *filter(None, left)):
            running.end(cause)

    def _step(self) -> None:
        """One pass of each kind, unless somebody was answered who may be back in time for it."""
        if self._answer() and self.gathering.left():
            return
        few: list[_Fed[W]] = []
        many: list[_Fed[W]] = []
        for running in self._running:
            feed, running.next = running.next, None
            assert feed is not None, "else it is done"
            (few if len(feed.tokens) <= FEW_TOKENS else many).append((running, feed))
        few.sort(key=lambda fed: len(fed[1].tokens))
        place = long_ones([len(feed.tokens) for _, feed in few], self.pass_tokens)
        for group in (few[:place], few[place:]):
            group.sort(key=lambda fed: fed[0].work.slot)
            for begin in range(0, len(group), self._rows):
                self._pass(group[begin : begin + self._rows])
        for running, feed in many[1:]:
            running.next = feed
        if many:
            self._pass(many[:1])
            if many[0][0] in self._running:  # the others are first, next time
                self._running.remove(many[0][0])
                self._running.append(many[0][0])
        self._answer()

    def _answer(self) -> bool:
        """Whoever is done leaves, and the others say what is next. Whether somebody was done."""
        done: list[_Running[W]] = []
        left: list[_Running[W]] = []
        for running in self._running:
            if running.cancelled:
                continue
            try:
                running.next = running.next or running.work.feed()
            except Exception as error:
                running.end(first_line(error))
                continue
            (done if running.next is None else left).append(running)
        self._running = left
        _end(done)
        self.gathering.answered([each.work.slot for each in done if not each.work.last])
        return bool(done)

    def _pass(self, fed: "list[_Fed[W]]") -> None:
        """Where it fails each goes through it alone, and those fail over whom it did."""
        began = time.perf_counter()
        try:
            with self._around():
                waited = time.perf_counter() - began
                rows = self._slots.logits(
                    [running.work.slot for running, _ in fed],
                    [feed.start for _, feed in fed],
                    [feed.tokens for _, feed in fed],
                    [feed.read or len(feed.tokens) for _, feed in fed],
                )
        except Exception as error:  # out of memory, or anything a model's own code raises
            if len(fed) == 1:
                log.exception("a sequence failed")
                self._drop(fed[0][0], first_line(error))
                return
            for one in fed:
                self._pass([one])
            return
        self._take(fed, rows)
        seconds = time.perf_counter() - began
        tokens = sum(len(feed.tokens) for _, feed in fed)
        for running, feed in fed:
            share = seconds * len(feed.tokens) / tokens
            running.spent = running.spent.and_(Spent(1, len(fed), share))
        longest = max(len(feed.tokens) for _, feed in fed)
        if self.on_pass is not None and longest <= FEW_TOKENS:
            self.on_pass(len(fed), len(fed) * longest, seconds - waited)

    def _take(self, fed: "list[_Fed[W]]", rows: list[torch.Tensor]) -> None:
        if self._together is not None:
            try:
                self._together([running.work for running, _ in fed], rows)
            except Exception as error:
                if len(fed) == 1:
                    log.exception("a sequence failed")
                    self._drop(fed[0][0], first_line(error))
                    return
                for one, row in zip(fed, rows, strict=True):
                    self._take([one], [row])
            return
        for (running, _), row in zip(fed, rows, strict=True):
            try:
                running.work.take(row)
            except Exception as error:
                self._drop(running, first_line(error))

    def _drop(self, running: _Running[W], failure: str) -> None:
        running.end(failure)
        self._running.remove(running)


_Fed: TypeAlias = tuple[_Running[W], Feed]


def _end(done: "list[_Running[W]]") -> None:
    """All of a pass at once: each call wakes the loop up."""
    for loop in {running.loop for running in done}:
        ended = [running.done for running in done if running.loop is loop]
        loop.call_soon_threadsafe(_resolve, ended)


def _resolve(done: list[asyncio.Future[None]]) -> None:
    for each in done:
        resolve(each, None)
