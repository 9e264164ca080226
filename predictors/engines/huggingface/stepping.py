"""Many sequences' passes through a model with slots, together, in one thread.

Each of them says which tokens it wants to go through the model next, and reads their logits. What
wants few tokens goes in one pass; what wants many, as a prompt, has a pass of its own, in turns
with those, so that nobody waits for more than one.
"""

import asyncio
import logging
import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final, NamedTuple, Protocol

import torch

from predictors.engines.huggingface.sequence import resolve
from predictors.engines.huggingface.slots import Slots
from predictors.errors import EngineError, first_line

log = logging.getLogger(__name__)

FEW_TOKENS: Final = 32
JOIN_SECONDS: Final = 10.0
CLOSED: Final = "the engine is closed"


class Feed(NamedTuple):
    """`tokens` behind the `start` ones that the slot has."""

    start: int
    tokens: list[int]


class Work(Protocol):
    """Of one sequence. Its methods are called in the stepper's thread."""

    slot: int

    def feed(self) -> Feed | None:
        """What goes through the model next; None where it is done."""
        ...

    def take(self, logits: torch.Tensor) -> None:
        """[tokens, vocabulary] of what was fed."""
        ...


class _Running:
    def __init__(self, work: Work, done: asyncio.Future[None]) -> None:
        self.work = work
        self._loop = asyncio.get_running_loop()
        self._done = done
        self.cancelled = False

    def end(self, failure: str | None = None) -> None:
        self._loop.call_soon_threadsafe(resolve, self._done, failure)


class Stepper:
    """At most `rows` of them in one pass. `around` is entered for each, as others may use the
    model, too."""

    def __init__(
        self,
        slots: Slots,
        rows: int,
        around: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._slots = slots
        self._rows = rows
        self._around = around
        self._arriving: queue.SimpleQueue[_Running | None] = queue.SimpleQueue()
        self._running: list[_Running] = []
        self._closed = False
        self._death: str | None = None
        self._thread = threading.Thread(target=self._live, daemon=True, name="step")

    def start(self) -> None:
        self._thread.start()

    async def run(self, work: Work) -> None:
        """Until it is done. Cancelled, it is left alone after the pass that it is in. Raises
        EngineError where the model, or the work itself, fails."""
        if self._closed or self._death:
            raise EngineError(self._death or CLOSED)
        running = _Running(work, asyncio.get_running_loop().create_future())
        self._arriving.put(running)
        if self._death:  # it ended meanwhile, and looks at nothing any more
            running.end(self._death)
        try:
            await running._done
        except asyncio.CancelledError:
            running.cancelled = True
            raise

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
        """Takes in who came, and waits where nobody is there. False once it is closed."""
        while True:
            try:
                came = self._arriving.get(block=not self._running)
            except queue.Empty:
                return True
            if came is None:
                return False
            self._running.append(came)

    def _fail(self, cause: str) -> None:
        left = [self._arriving.get_nowait() for _ in range(self._arriving.qsize())]
        for running in (*self._running, *filter(None, left)):
            running.end(cause)

    def _step(self) -> None:
        few: list[tuple[_Running, Feed]] = []
        many: list[tuple[_Running, Feed]] = []
        for running in self._running:
            if (feed := self._feed(running)) is not None:
                (few if len(feed.tokens) <= FEW_TOKENS else many).append((running, feed))
        self._running = [running for running, _ in (*few, *many)]
        for begin in range(0, len(few), self._rows):
            self._pass(few[begin : begin + self._rows])
        if many:
            self._pass(many[:1])
            self._running.remove(many[0][0])  # the others are first, next time
            self._running.append(many[0][0])

    def _feed(self, running: _Running) -> Feed | None:
        if running.cancelled:
            return None
        try:
            feed = running.work.feed()
        except Exception as error:
            running.end(first_line(error))
            return None
        if feed is None:
            running.end()
        return feed

    def _pass(self, fed: list[tuple[_Running, Feed]]) -> None:
        """Where it fails each goes through it alone, and those fail over whom it did."""
        try:
            with self._around():
                logits = self._slots.logits(
                    [running.work.slot for running, _ in fed],
                    [feed.start for _, feed in fed],
                    [feed.tokens for _, feed in fed],
                )
        except Exception as error:  # out of memory, or anything a model's own code raises
            if len(fed) == 1:
                log.exception("a sequence failed")
                self._end(fed[0][0], first_line(error))
                return
            for one in fed:
                self._pass([one])
            return
        for row, (running, feed) in enumerate(fed):
            try:
                running.work.take(logits[row, : len(feed.tokens)])
            except Exception as error:
                self._end(running, first_line(error))

    def _end(self, running: _Running, failure: str) -> None:
        running.end(failure)
        self._running.remove(running)
