"""Many callers, several servers: each is told the truth."""

import asyncio
from collections import Counter

import pytest

from tests.transformers_hem.feedback.records import decided, said
from transformers_hem.feedback.keeping import Unit
from transformers_hem.feedback.opening import open_database
from transformers_hem.feedback.place import Place
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
