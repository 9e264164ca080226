"""What may befall a PostgreSQL: it stops, its tables or a right are gone, a password is another."""

import asyncio
import gc
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError
from starlette.types import Message

from tests.postgresql import PostgreSQL
from tests.transformers_hem.feedback.collecting import collecting
from tests.transformers_hem.feedback.records import decided, said
from tests.transformers_hem.feedback.test_routes import store_of
from tests.transformers_hem.feedback.test_sqlite import kept_in_time, pair
from transformers_hem.feedback import postgresql as of_postgresql
from transformers_hem.feedback.faults import Unusable
from transformers_hem.feedback.keeping import Unit
from transformers_hem.feedback.place import Place
from transformers_hem.feedback.reading import reading
from transformers_hem.feedback.room import counted
from transformers_hem.feedback.writer import Writer

SILENT = 0.5
EXPORT: Final[dict[str, Any]] = {
    **{"type": "http", "method": "GET", "path": "/feedback/export", "query_string": b""},
    "headers": [],
}

pytestmark = pytest.mark.parametrize("place", ["postgresql"], indirect=True)


@contextmanager
def paused(server: PostgreSQL) -> Iterator[None]:
    """All of its processes are stopped, as by a machine that hangs."""
    assert server.process is not None
    main = server.process.pid
    asked = ["ps", "-o", "pid=", "--ppid", str(main)]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()
    processes = [main, *map(int, found)]
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    try:
        yield
    finally:
        for each in processes:
            os.kill(each, signal.SIGCONT)


def writer_of(place: Place) -> Writer:
    writer = Writer(
        lambda create: of_postgresql.PostgreSQL(place.url, create=create, silent=SILENT)
    )
    writer.start()
    return writer


def run(place: Place, *statements: str) -> None:
    """By somebody else."""
    engine = of_postgresql.engine_of(place.url)
    with engine.begin() as connection:
        for each in statements:
            connection.execute(text(each))
    engine.dispose()


def connections(place: Place) -> int:
    """But for the one that asks."""
    engine = of_postgresql.engine_of(place.url)
    with engine.connect() as connection:
        asked = "SELECT count(*) - 1 FROM pg_stat_activity WHERE datname = current_database()"
        found = int(connection.execute(text(asked)).scalar_one())
    engine.dispose()
    return found


async def test_a_server_that_says_nothing_is_given_up_and_written_when_it_goes_on(
    place: Place, postgresql: PostgreSQL
) -> None:
    writer = writer_of(place)
    await writer.keep(pair("r1"))
    lost = said("r2")
    with paused(postgresql):
        async with asyncio.timeout(20):
            with pytest.raises(Unusable, match=r"said nothing for 0\.5 s"):
                await writer.keep(Unit((decided("r2"),), (lost,)))
    await kept_in_time(writer, Unit((), (lost,)))
    assert (await writer.work(counted))["feedback"]["rows"] == 2
    await asyncio.to_thread(writer.close)


def test_who_reads_does_not_wait_for_ever_either(place: Place, postgresql: PostgreSQL) -> None:
    engine = of_postgresql.engine_of(place.url, SILENT)
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_sleep(0)"))
        with paused(postgresql), pytest.raises(OperationalError, match="said nothing"):
            connection.execute(text("SELECT 1"))
    engine.dispose()


async def test_an_admin_is_told_that_the_store_does_not_answer(
    place: Place, postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers_hem.feedback.routes.ADMIN_SECONDS", 0.3)
    async with collecting(store_of(place)) as (client, _):
        assert (await client.get("/feedback")).status_code == 200
        with paused(postgresql):
            told = await client.get("/feedback")
            forgotten = await client.delete("/feedback", params={"request_id": "r1"})
        assert (told.status_code, forgotten.status_code) == (503, 503)
        assert "within 0.3 s: ask again later" in told.json()["error"]
        assert "not known whether all of it is forgotten" in forgotten.json()["error"]
        assert (await client.get("/feedback")).status_code == 200


async def test_an_export_that_nobody_waits_for_lets_go_of_its_connection(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not when the garbage is collected: until then PostgreSQL keeps old rows for it."""
    monkeypatch.setattr("transformers_hem.feedback.exporting._LINES", 1)
    leaves = asyncio.Event()
    sent = []

    async def send(message: Message) -> None:
        sent.append(message)
        if len(sent) == 3:
            leaves.set()

    async def receive() -> Message:
        await leaves.wait()
        return {"type": "http.disconnect"}

    async with collecting(store_of(place)) as (client, feedback):
        assert (await client.get("/feedback")).status_code == 200
        writer = writer_of(place)
        for number in range(400):
            await writer.keep(pair(f"r{number}"))
        await asyncio.to_thread(writer.close)
        app = FastAPI()
        feedback.add_to(app)
        before = connections(place)
        gc.disable()
        try:
            await app(EXPORT, receive, send)
            async with asyncio.timeout(5):
                while connections(place) > before:
                    await asyncio.sleep(0.05)
        finally:
            gc.enable()
    assert len(sent) < 400


async def test_tables_that_are_gone_are_not_made_anew_and_may_come_back(place: Place) -> None:
    writer = writer_of(place)
    await writer.keep(pair("r1"))
    run(place, "CREATE SCHEMA aside", "ALTER TABLE feedback SET SCHEMA aside")
    with pytest.raises(Unusable, match='relation "feedback" does not exist'):
        await writer.keep(pair("r2"))
    others = [f"ALTER TABLE {name} SET SCHEMA aside" for name in ("decisions", "alembic_version")]
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
    run(place, *others, f"{end} AND datname = current_database()")
    with pytest.raises(Unusable):
        await writer.keep(pair("r3"))
    await asyncio.sleep(1.1)
    with pytest.raises(Unusable, match=r"tables of the store are gone.*put a copy back"):
        await writer.keep(pair("r4"))
    with pytest.raises(Unusable, match="has no tables"), reading(place):
        pass
    names = ("feedback", "decisions", "alembic_version")
    run(place, *(f"ALTER TABLE aside.{name} SET SCHEMA public" for name in names))
    await kept_in_time(writer, pair("r5"))
    assert (await writer.work(counted))["feedback"]["rows"] == 2
    await asyncio.to_thread(writer.close)


async def test_a_missing_right_is_told_and_what_needs_it_alone_fails(place: Place) -> None:
    role = f"hem_{make_url(place.url).database}"
    run(place, f"CREATE ROLE {role} LOGIN", f"GRANT ALL ON SCHEMA public TO {role}")
    theirs = make_url(place.url).set(username=role).render_as_string(hide_password=False)
    hers = Place(None, theirs, "there")
    writer = writer_of(hers)
    await writer.keep(pair("r1"))
    run(place, f"REVOKE INSERT ON feedback FROM {role}")
    with pytest.raises(Unusable, match="permission denied for table feedback"):
        await writer.keep(pair("r2"))
    assert (await writer.work(counted))["feedback"]["rows"] == 1
    run(place, f"GRANT INSERT ON feedback TO {role}")
    await writer.keep(pair("r3"))
    await asyncio.to_thread(writer.close)


def test_options_of_the_url_count(place: Place) -> None:
    url = f"{place.url}&options=-c%20statement_timeout%3D7s%20-c%20search_path%3Dhem"
    run(place, "CREATE SCHEMA hem")
    database = of_postgresql.PostgreSQL(url)
    with database.transaction() as connection:
        found = connection.execute(
            text(
                "SELECT current_schema(), current_setting('statement_timeout'), "
                "current_setting('lock_timeout')"
            )
        ).one()
        assert tuple(found) == ("hem", "7s", "30s")
    database.close()
