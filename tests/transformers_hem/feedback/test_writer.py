"""Many callers, several servers: each is told the truth."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from tests.transformers_hem.feedback.records import decided, said
from transformers_hem.feedback.database import Database
from transformers_hem.feedback.faults import Unusable
from transformers_hem.feedback.keeping import Unit
from transformers_hem.feedback.opening import open_database
from transformers_hem.feedback.place import Place
from transformers_hem.feedback.reading import reading, records_after
from transformers_hem.feedback.room import counted
from transformers_hem.feedback.writer import Writer


def started(place: Place) -> Writer:
    writer = Writer(lambda create: open_database(place, create=create))
    writer.start()
    return writer


async def test_each_of_many_callers_is_answered_for_its_own(place: Place) -> None:
    writer = started(place)
    units = [Unit((decided(f"r{n}"),), (said(f"r{n}"),)) for n in range(300)]
    found = await asyncio.gather(*(writer.keep(unit) for unit in units))
    for unit, done in zip(units, found, strict=True):
        assert [(kept.feedback, kept.known) for kept in done.kept] == [(unit.feedback[0], True)]
    await asyncio.to_thread(writer.close)


async def test_decisions_are_written_soon_also_where_feedback_has_taken_others_along(
    place: Place,
) -> None:
    writer = started(place)

    def rows() -> int:
        with reading(place) as connection:
            return len(records_after(connection, "decisions", 0, 100))

    async def written(count: int) -> None:  # nothing that this asks wakes the writer
        async with asyncio.timeout(5):
            while rows() < count:
                await asyncio.sleep(0.4)  # longer than decisions wait for each other

    for number in range(3):
        writer.note(lambda: Unit((decided("r"),)))
        await writer.keep(Unit((), (said("r"),)))
        await written(2 * number + 1)
        writer.note(lambda: Unit((decided("r"),)))
        await written(2 * number + 2)
    await asyncio.to_thread(writer.close)


@pytest.mark.parametrize("place", ["postgresql"], indirect=True)
async def test_what_two_servers_get_at_once_is_kept_once(place: Place) -> None:
    writers = [started(place) for _ in range(2)]
    units = [Unit((), (said(f"r{n}"),)) for n in range(100)]
    asked = [writer.keep(unit) for unit in units for writer in writers]
    states = Counter(done.kept[0].state for done in await asyncio.gather(*asked))
    assert states == {"new": 100, "duplicate": 100}
    assert (await writers[0].work(counted))["feedback"]["rows"] == 100
    for writer in writers:
        await asyncio.to_thread(writer.close)


class EndsWithItsCommit(Database):
    """A store whose connection ends before the first commit is told of."""

    def __init__(self, database: Database) -> None:
        self._database, self._ended = database, False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with self._database.transaction() as connection:
            yield connection
        if not self._ended:
            self._ended = True
            raise OperationalError("COMMIT", None, ConnectionError("it was closed"))

    def is_broken(self, error: DBAPIError) -> bool:
        return False

    def close(self) -> None:
        self._database.close()


async def test_what_was_written_though_nobody_was_told_keeps_nothing_from_being_written(
    place: Place,
) -> None:
    writer = Writer(lambda create: EndsWithItsCommit(open_database(place)))
    writer.start()
    decision, feedback = decided("r1"), said("r1")
    writer.note(lambda: Unit((decision,)))
    with pytest.raises(Unusable, match="it was closed"):
        await writer.keep(Unit((), (feedback,)))
    (again,) = (await writer.keep(Unit((), (feedback,)))).kept
    assert (again.state, again.known) == ("duplicate", True)
    found = await writer.work(counted)
    assert (found["decisions"]["rows"], found["feedback"]["rows"]) == (1, 1)
    await asyncio.to_thread(writer.close)
