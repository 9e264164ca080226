"""The thread that writes the store. What comes during one commit is in the next one together, so
that many callers share one write to the disk; each is answered behind it.

Nothing of it is done by the event loop but to put things into a queue, and to take answers.
"""

import asyncio
import logging
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError

from predictors.errors import HEMError, InvalidRequest, Overloaded, first_line
from transformers_hem.feedback import metrics
from transformers_hem.feedback.database import Database
from transformers_hem.feedback.faults import AGAIN_SECONDS, Conflict, Unusable
from transformers_hem.feedback.keeping import Done, Unit, keep

logger = logging.getLogger("kserve.hem")

T = TypeVar("T")

MOST_AT_ONCE: Final = 1000  # records of one transaction
MOST_WAITING: Final = 20_000  # records of callers who wait; decisions that wait for a store
LINGER_SECONDS: Final = 0.25  # decisions alone wait for more of them
PACE_SECONDS: Final = 0.004  # from one commit to the next: under load each holds some callers'
TIDY_SECONDS: Final = 60.0
# By Python's default the server's loop waits 5 ms for the interpreter while this thread computes.
SWITCH_SECONDS: Final = 0.0005
_ATTEMPTS: Final = 3  # where another process writes the same at the same time
Note = Callable[[], Unit]


class _Noted:
    """There are notes, where there were none."""


_NOTED: Final = _Noted()


@dataclass(slots=True)
class _Job:
    """`answer` is a future of `loop`; `work` is done in a transaction of its own."""

    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Any]
    unit: Unit
    work: Callable[[Database], Any] | None = None


class Writer:
    """`open` opens the store, and is told whether it may make a new one: as long as there was none.
    `tidy` makes room, now and then; it returns whether it has to be called again soon."""

    def __init__(
        self,
        open: Callable[[bool], Database],
        tidy: Callable[[Database], bool] | None = None,
        *,
        linger: float = LINGER_SECONDS,
    ) -> None:
        self._open = open
        self._tidy = tidy
        self._linger = linger
        self._queue: queue.SimpleQueue[_Job | _Noted | None] = queue.SimpleQueue()
        self._waiting = 0  # written by the loop's thread and by this one, under the lock
        self._lock = threading.Lock()
        self._notes: deque[Note] = deque()  # of any thread
        self._noted = False  # since they were taken
        self._late: deque[Unit] = deque()
        self._database: Database | None = None
        self._opened = False
        self._why = "the store is not open yet"
        self._full = ""  # why no room is made
        self._try_at = 0.0
        self._tidy_at = time.monotonic() + TIDY_SECONDS / 10
        self._next_at = 0.0
        self._thread = threading.Thread(target=self._run, name="hem-feedback", daemon=True)

    def start(self) -> None:
        sys.setswitchinterval(min(sys.getswitchinterval(), SWITCH_SECONDS))
        self._thread.start()

    def close(self, seconds: float = 8.0) -> None:
        """What is in the queue is written."""
        self._queue.put(None)
        self._thread.join(seconds)

    def note(self, make: Note) -> None:
        """A decision, and what it says of one before; `make` is called in the writer's thread.
        Never waits, never raises; it is lost where the process is killed within a moment.

        The first one alone wakes the thread: that costs more than all else that is done here."""
        self._notes.append(make)
        if not self._noted:
            self._noted = True
            self._queue.put(_NOTED)

    async def keep(self, unit: Unit) -> Done:
        """Once it is durable. Raises Unusable, Overloaded, Conflict; then nothing of it is kept."""
        with self._lock:
            if self._waiting + unit.size > MOST_WAITING:
                raise Overloaded(
                    f"{self._waiting} records wait to be written; send it again in a moment"
                )
            self._waiting += unit.size
        done: Done = await self._ask(unit)
        return done

    async def work(self, work: Callable[[Database], T]) -> T:
        """In the writer's thread. Raises Unusable, and what `work` raises."""
        result: T = await self._ask(Unit(), work)
        return result

    async def _ask(self, unit: Unit, work: Callable[[Database], Any] | None = None) -> Any:
        loop = asyncio.get_running_loop()
        job = _Job(loop, loop.create_future(), unit, work)
        self._queue.put(job)
        return await job.answer

    # The thread

    def _run(self) -> None:
        with suppress(HEMError):
            self._ready()
        going = True
        while going:
            jobs, going = self._next()
            self._make_notes()
            if jobs or self._late:
                self._write([job for job in jobs if job.work is None])
            for job in jobs:
                if job.work is not None:
                    self._do(job, job.work)
            if going:
                self._make_room()
        self._let_go()

    def _next(self) -> tuple[list[_Job], bool]:
        """Those that wait, and none where notes have waited long enough. False behind the last."""
        jobs: list[_Job] = []
        again = self._late or self._database is None
        until = time.monotonic() + (AGAIN_SECONDS if again else TIDY_SECONDS)
        size = 0
        while size < MOST_AT_ONCE:
            try:
                left = max(0.0, until - time.monotonic())
                item = self._queue.get_nowait() if jobs else self._queue.get(timeout=left)
            except queue.Empty:
                break
            if item is None:
                return jobs, False
            if isinstance(item, _Job):
                if not jobs and (pause := self._next_at - time.monotonic()) > 0:
                    time.sleep(pause)
                jobs.append(item)
                size += max(1, item.unit.size)
                continue
            until = min(until, time.monotonic() + self._linger)
        return jobs, True

    def _write(self, jobs: Sequence[_Job]) -> None:
        units = [*self._late, *(job.unit for job in jobs)]
        results: Sequence[Done | HEMError]
        try:
            results = self._kept(units)[len(self._late) :]
        except DataError:  # of one of them, and nobody knows which
            results = [self._alone(job.unit) for job in jobs]
            self._keep_one_by_one()
        except Unusable as error:
            results = [Unusable(str(error)) for _ in jobs]
            self._drop()
        else:
            metrics.DECISIONS.labels("kept").inc(len(self._late))
            self._late.clear()
        self._next_at = time.monotonic() + PACE_SECONDS
        with self._lock:
            self._waiting -= sum(job.unit.size for job in jobs)
        _answer(jobs, results)

    def _alone(self, unit: Unit) -> Done | HEMError:
        try:
            return self._kept([unit])[0]
        except DataError as error:
            why = first_line(error.orig or error)
            return InvalidRequest(f"the store takes no such record: {why}")
        except Unusable as error:
            return error

    def _keep_one_by_one(self) -> None:
        for _ in range(len(self._late)):
            kept = self._alone(self._late[0])
            if isinstance(kept, Unusable):
                return
            metrics.DECISIONS.labels("kept" if isinstance(kept, Done) else "dropped").inc()
            self._late.popleft()

    def _kept(self, units: Sequence[Unit]) -> Sequence[Done | Conflict]:
        """Raises Unusable, DataError."""

        def write(connection: Connection) -> Sequence[Done | Conflict]:
            return keep(connection, units)

        for attempt in range(_ATTEMPTS):
            try:
                return self._in_transaction(write)
            except IntegrityError as error:
                if attempt == _ATTEMPTS - 1:
                    raise self._unusable(error) from None
        raise AssertionError

    def _in_transaction(self, work: Callable[[Connection], T]) -> T:
        """Raises Unusable, IntegrityError, DataError."""
        database = self._ready()
        began = time.perf_counter()
        try:
            with database.transaction() as connection:
                result = work(connection)
        except (IntegrityError, DataError):
            raise
        except Exception as error:  # whatever it is, this thread goes on
            raise self._unusable(error) from None
        metrics.COMMIT.observe(time.perf_counter() - began)
        self._well()
        return result

    def _do(self, job: _Job, work: Callable[[Database], Any]) -> None:
        """Nobody waits for it any more where the store has not answered for long."""
        if job.answer.done():
            return
        result: Any
        try:
            database = self._ready()
        except Unusable as error:
            return _answer([job], [error])
        try:
            result = work(database)
        except HEMError as error:
            result = self._unusable(error) if isinstance(error, Unusable) else error
        except Exception as error:
            result = self._failed(error)
        _answer([job], [result])

    def _make_room(self) -> None:
        """Now and then, and opens a store that is well again, also where nobody asks anything."""
        with suppress(HEMError):
            self._ready()
        if self._tidy is None or time.monotonic() < self._tidy_at or self._database is None:
            return
        again = False
        try:
            again = self._tidy(self._database)
        except Exception as error:
            why = str(self._failed(error))
            if why != self._full:
                logger.error("feedback: what is too old is not deleted: %s", why)
            self._full = why
        else:
            self._full = ""
        self._tidy_at = time.monotonic() + (AGAIN_SECONDS if again else TIDY_SECONDS)

    def _make_notes(self) -> None:
        self._noted = False  # first: one that comes now is taken, or tells of itself anew
        for _ in range(len(self._notes)):
            try:
                self._late.append(self._notes.popleft()())
            except Exception:  # one that can't be described must not take others with it
                logger.exception("feedback: a decision is not kept")

    def _drop(self) -> None:
        """The oldest of those that could not be written."""
        for _ in range(len(self._late) - MOST_WAITING):
            self._late.popleft()
            metrics.DECISIONS.labels("dropped").inc()

    # The store

    def _ready(self) -> Database:
        """Raises Unusable."""
        if self._database is None:
            if time.monotonic() < self._try_at:
                raise Unusable(self._why)
            try:
                self._database = self._open(not self._opened)
            except Exception as error:
                raise self._unusable(error) from None
            self._opened = True
            self._well()
        return self._database

    def _well(self) -> None:
        if self._why:
            logger.info("feedback: the store can be written")
        self._why = ""
        metrics.UP.set(1)

    def _failed(self, error: Exception) -> Unusable:
        """Of what is no writing of records: these may be kept all the same, as where a right is
        missing."""
        if isinstance(error, DBAPIError) and self._lives(error):
            return Unusable(_why(error))
        return self._unusable(error)

    def _unusable(self, error: Exception) -> Unusable:
        """One line of the log for many, and the store is opened anew where it has to be."""
        if not isinstance(error, (SQLAlchemyError, OSError, HEMError)):
            logger.error("feedback: %s", type(error).__name__, exc_info=error)
        why = _why(error)
        if not (isinstance(error, DBAPIError) and self._lives(error)):
            self._let_go()
            self._try_at = time.monotonic() + AGAIN_SECONDS
        if why != self._why:
            logger.error("feedback: nothing is kept: %s", why)
        self._why = why
        metrics.UP.set(0)
        return Unusable(why)

    def _lives(self, error: DBAPIError) -> bool:
        return self._database is not None and not self._database.is_broken(error)

    def _let_go(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            with suppress(SQLAlchemyError, OSError):
                database.close()


def _why(error: Exception) -> str:
    told = error if not isinstance(error, DBAPIError) or error.orig is None else error.orig
    return str(error) if isinstance(error, HEMError) else f"the store: {first_line(told)}"


def _answer(jobs: Sequence[_Job], results: Sequence[Any]) -> None:
    """One call of a loop for all who wait there."""
    by_loop: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], Any]]] = {}
    for job, result in zip(jobs, results, strict=True):
        by_loop.setdefault(job.loop, []).append((job.answer, result))
    for loop, answers in by_loop.items():
        with suppress(RuntimeError):  # it is closed: nobody waits any more
            loop.call_soon_threadsafe(_give, answers)


def _give(answers: Sequence[tuple[asyncio.Future[Any], Any]]) -> None:
    for future, result in answers:
        if future.done():
            continue
        if isinstance(result, HEMError):
            future.set_exception(result)
        else:
            future.set_result(result)
