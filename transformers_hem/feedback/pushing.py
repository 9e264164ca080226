"""Sends on what a server at an edge has collected, to a central one, once there is a link.

Each record has a key, by which the central one takes it once, so that nothing is lost or counted
twice, wherever this stops. How far it is stands in the store itself.
"""

import asyncio
import logging
import threading
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select

from predictors.errors import HEMError
from transformers_hem.feedback.client import FeedbackClient
from transformers_hem.feedback.database import Database
from transformers_hem.feedback.place import Place
from transformers_hem.feedback.pushed import MOST, pushed_body
from transformers_hem.feedback.reading import reading, records_after
from transformers_hem.feedback.tables import FACTS
from transformers_hem.feedback.writer import Writer

logger = logging.getLogger("kserve.hem")

SECONDS: Final = 5.0  # from one look to the next
MOST_SECONDS: Final = 300.0  # where the central one can't be reached
_FACT: Final = "pushed"
MOST_BYTES: Final = 2**20  # of one body: servers refuse larger ones, by 8 MiB unless told otherwise
_Numbered = list[tuple[int, Any]]
Reached = tuple[int, int]  # numbers of the last decision, and of the last feedback, that are there


def batches(connection: Connection, reached: Reached) -> Iterator[tuple[bytes, Reached]]:
    """Bodies, and how far each leads."""
    while True:
        body, decisions, feedback = _batch(connection, reached)
        if not decisions and not feedback:
            return
        reached = (
            decisions[-1][0] if decisions else reached[0],
            feedback[-1][0] if feedback else reached[1],
        )
        yield body, reached


def _batch(connection: Connection, reached: Reached) -> tuple[bytes, _Numbered, _Numbered]:
    """As many as one body may have, by number and by bytes."""
    most = MOST // 2
    while True:
        decisions = records_after(connection, "decisions", reached[0], most)
        feedback = records_after(connection, "feedback", reached[1], most)
        body = pushed_body([d for _, d in decisions], [f for _, f in feedback])
        if len(body) <= MOST_BYTES or most == 1:
            return body, decisions, feedback
        most //= 2


async def push_all(place: Place, client: FeedbackClient, reached: Reached = (0, 0)) -> Reached:
    """What the central one took anew: decisions and feedback. Raises HEMError."""
    taken = (0, 0)
    with reading(place) as connection:
        for body, _ in batches(connection, reached):
            told = await client.push(body)
            taken = taken[0] + told["decisions"], taken[1] + told["feedback"]
    return taken


class Pusher:
    """A thread of its own: neither the event loop nor the writer waits for a link."""

    def __init__(
        self, place: Place, writer: Writer, url: str, key: str, *, seconds: float = SECONDS
    ) -> None:
        """Raises ConfigurationError for what is no URL."""
        self._place = place
        self._writer = writer
        self._url = url
        self._key = key
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hem-feedback-push", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        self._thread.join(2)

    def _run(self) -> None:
        wait, why = self._seconds, ""
        while not self._stop.wait(wait):
            try:
                asyncio.run(self._push())
                wait, why = self._seconds, ""
            except HEMError as error:
                wait = min(2 * wait, MOST_SECONDS)
                if str(error) != why:
                    logger.warning("feedback: not sent on yet: %s", error)
                why = str(error)
            except Exception:  # the next look may find it well
                logger.exception("feedback: not sent on")

    async def _push(self) -> None:
        """Raises HEMError."""
        async with FeedbackClient(self._url, self._key) as client:
            reached = await self._writer.work(self._reached)
            with reading(self._place) as connection:
                for body, so_far in batches(connection, reached):
                    await client.push(body)
                    await self._writer.work(partial(self._note, so_far))
                    if self._stop.is_set():
                        return

    @property
    def _name(self) -> str:
        return f"{_FACT} {self._url}"[:128]

    def _reached(self, database: Database) -> Reached:
        with database.transaction() as connection:
            asked = select(FACTS.c.value).where(FACTS.c.name == self._name)
            found = connection.execute(asked).scalar()
        decisions, _, feedback = (found or "0 0").partition(" ")
        return int(decisions), int(feedback)

    def _note(self, reached: Reached, database: Database) -> None:
        with database.transaction() as connection:
            connection.execute(delete(FACTS).where(FACTS.c.name == self._name))
            value = f"{reached[0]} {reached[1]}"
            connection.execute(insert(FACTS), [{"name": self._name, "value": value}])
