"""What was spent in the window that ends now, in a file that processes of one node share.

The window rolls: what was spent longer ago than it is free again, a sixtieth of it at a time, and
not less than a second.
"""

import logging
import math
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from predictors.errors import ConfigurationError
from transformers_hem.guards.budget import database as files
from transformers_hem.guards.budget.amounts import Amounts
from transformers_hem.guards.budget.clock import Anchor, Clock
from transformers_hem.guards.budget.damage import place_of

logger = logging.getLogger("kserve.hem")

T = TypeVar("T")

BUCKETS: Final = 60  # of a window
AGAIN_SECONDS: Final = 1.0  # after a failure, until the file is tried again
_TIDY_SECONDS: Final = 5.0
_SUM: Final = (
    "SELECT COALESCE(SUM(requests), 0), COALESCE(SUM(input), 0), COALESCE(SUM(output), 0), "
    "COALESCE(SUM(cost), 0) FROM spent WHERE client = ? AND bucket > ?"
)
_ADD: Final = (
    "INSERT INTO spent VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (client, bucket) DO UPDATE SET "
    "requests = requests + excluded.requests, input = input + excluded.input, "
    "output = output + excluded.output, cost = cost + excluded.cost"
)
_CORRECT: Final = (
    "UPDATE spent SET requests = requests + ?, input = input + ?, output = output + ?, "
    "cost = cost + ? WHERE client = ? AND bucket = ?"
)


class Unusable(Exception):
    """The file can't be used now, so nobody knows what is left. Its text is for people."""


class Busy(Exception):
    """Another process writes just now; try again."""


class Taken(NamedTuple):
    client: str
    bucket: int
    amounts: Amounts


class State:
    """Threads may share it, and processes its file. Where it raises Unusable it tries again by
    itself, once a second."""

    def __init__(self, path: Path, window: float, clock: Clock) -> None:
        """Raises ConfigurationError where there can be no such file."""
        if not path.parent.is_dir():
            raise ConfigurationError(f"{path.parent} is not there: make the folder of {path.name}")
        self._path = path
        self._window = window
        self._width = math.ceil(window / BUCKETS)
        self._clock = clock
        self._mutex = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._place: tuple[int, int] | None = None
        self._anchor = Anchor("", 0.0, 0.0)
        self._closed_until = 0.0
        self._late: list[tuple[Any, ...]] = []  # corrections that could not be written
        self._why = ""
        self._try_at = 0.0
        self._changed = False
        self._stop = threading.Event()
        try:
            self._ready()
        except (OSError, sqlite3.Error) as error:
            self._unusable(error)
        threading.Thread(target=self._keep_tidy, name="hem-budget", daemon=True).start()

    @property
    def closed_seconds(self) -> float:
        """For how long nothing may be spent yet, as the file was damaged."""
        return max(0.0, self._closed_until - self._clock.now(self._anchor))

    def used(self, client: str) -> Amounts:
        """Raises Unusable, Busy."""
        with self._mutex:
            return self._guarded(lambda database: self._used(database, client))

    def take(
        self, client: str, amounts: Amounts, allows: Callable[[Amounts], bool]
    ) -> Taken | None:
        """Adds `amounts` where `allows` says so of what was used by then; None where it does not.
        Raises Unusable, Busy."""

        def work(database: sqlite3.Connection) -> Taken | None:
            database.execute("BEGIN IMMEDIATE")
            try:
                for late in self._late:
                    database.execute(_CORRECT, late)
                taken = None
                if self.closed_seconds == 0 and allows(self._used(database, client)):
                    bucket = int(self._now() // self._width * self._width)
                    database.execute(_ADD, (client, bucket, *amounts))
                    taken = Taken(client, bucket, amounts)
                database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    database.execute("ROLLBACK")
                raise
            self._late.clear()
            self._changed = True
            return taken

        with self._mutex:
            return self._guarded(work)

    def correct(self, taken: Taken, used: Amounts) -> None:
        """What was really used of it; where that can't be written now, it is with the next."""
        change = (*(used - taken.amounts), taken.client, taken.bucket)
        if not any(change[: len(used)]):
            return
        with self._mutex:
            try:
                self._guarded(lambda database: database.execute(_CORRECT, change))
                self._changed = True
            except (Unusable, Busy):
                self._late.append(change)
            if self._stop.is_set():  # of a request that began before it was closed
                self._let_go()

    def close(self) -> None:
        self._stop.set()
        with self._mutex:
            self._let_go()

    def _now(self) -> float:
        return self._clock.now(self._anchor)

    def _used(self, database: sqlite3.Connection, client: str) -> Amounts:
        since = self._now() - self._window - self._width
        return Amounts(*database.execute(_SUM, (client, since)).fetchone())

    def _guarded(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Raises Unusable, Busy."""
        try:
            try:
                return work(self._ready())
            except sqlite3.Error as error:
                if files.is_busy(error):
                    raise Busy from None
                if files.is_damage(error):
                    self._replace(error)
                raise
        except (OSError, sqlite3.Error, ConfigurationError) as error:
            raise self._unusable(error) from None

    def _ready(self) -> sqlite3.Connection:
        """The open file that is at the path now. Raises Unusable, ConfigurationError, OSError,
        sqlite3.Error."""
        if self._database is not None and place_of(self._path) == self._place:
            return self._database
        if time.monotonic() < self._try_at:
            raise Unusable(self._why)
        self._let_go()
        return self._open()

    def _open(self) -> sqlite3.Connection:
        files.ensure(self._path, self._clock)
        self._place = place_of(self._path)
        try:
            opened = files.opened(self._path, self._clock)
        except sqlite3.Error as error:
            if not files.is_damage(error):
                raise
            self._replace(error)
            self._place = place_of(self._path)
            opened = files.opened(self._path, self._clock)
        self._database, self._anchor, self._closed_until = opened
        self._why = ""
        return opened.database

    def _replace(self, error: sqlite3.Error) -> None:
        self._let_go()
        aside = files.replace_damaged(self._path, self._place, self._clock, self._window)
        if aside:
            logger.error(
                "budget %s: damaged (%s), now %s; nothing goes to the cloud for %g s, as nobody "
                "knows what was spent. To begin anew at once remove the new file",
                self._path,
                error,
                aside,
                self._window,
            )

    def _unusable(self, error: Exception) -> Unusable:
        self._let_go()
        reason = getattr(error, "strerror", None) or error
        why = f"budget {self._path}: can't be used: {reason}; nothing goes to the cloud"
        if why != self._why:
            logger.error("%s", why)
        self._why, self._try_at = why, time.monotonic() + AGAIN_SECONDS
        return Unusable(why)

    def _let_go(self) -> None:
        database, self._database = self._database, None
        if database is None:
            return
        try:
            if place_of(self._path) != self._place:
                return files.abandon(database)
            database.close()
        except (OSError, sqlite3.Error):
            files.abandon(database)

    def _keep_tidy(self) -> None:
        while not self._stop.wait(_TIDY_SECONDS):
            if not self._changed:
                continue
            self._changed = False
            try:
                files.tidy(self._path, self._now() - self._window - 2 * self._width)
            except sqlite3.Error as error:
                logger.debug("budget %s: not tidied: %s", self._path, error)
