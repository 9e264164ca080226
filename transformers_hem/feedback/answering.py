"""A connection to PostgreSQL that is given up where nothing answers.

psycopg waits for as long as it takes. Limits of the server's own don't help where the server is
stopped, or its machine gone, and what the network notices of that it notices after minutes.
"""

import time
from typing import Any, Final, TypeVar

from psycopg import Connection, OperationalError
from psycopg.abc import PQGen

R = TypeVar("R")

_LOOK_SECONDS: Final = 0.1  # from one look at the clock to the next


class AnsweringConnection(Connection[Any]):
    """`seconds`: how long PostgreSQL may say nothing; None: as long as it takes."""

    seconds: float | None = None

    def wait(self, gen: PQGen[R], interval: float = _LOOK_SECONDS, *given: Any, **named: Any) -> R:
        """All that is asked goes through it. Raises OperationalError, and then the connection is
        closed: nobody knows what it would answer next."""
        if self.seconds is None:
            return super().wait(gen, interval, *given, **named)
        try:
            return super().wait(_within(gen, self.seconds), interval, *given, **named)
        except _Silent as error:
            self.close()
            raise OperationalError(str(error)) from None


class _Silent(Exception):
    """Nothing came for too long."""


def _within(gen: PQGen[R], seconds: float) -> PQGen[R]:
    """What `gen` does. psycopg sends it what the socket is ready for, and nothing now and then."""
    until = time.monotonic() + seconds
    try:
        ready = yield next(gen)
        while True:
            if ready:
                until = time.monotonic() + seconds
            elif time.monotonic() > until:
                raise _Silent(
                    f"PostgreSQL has said nothing for {seconds:g} s: it is stopped, overloaded or "
                    "can't be reached"
                )
            ready = yield gen.send(ready)
    except StopIteration as end:
        result: R = end.value
        return result
