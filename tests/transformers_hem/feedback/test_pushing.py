"""What an edge has collected reaches a central server, each record once."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from predictors.errors import ConfigurationError, UpstreamError
from tests.conftest import StartServer, free_port
from tests.transformers_hem.feedback.collecting import collecting
from tests.transformers_hem.feedback.records import decided, said
from transformers_hem.feedback.client import FeedbackClient
from transformers_hem.feedback.keeping import Unit
from transformers_hem.feedback.opening import open_database
from transformers_hem.feedback.place import Place, read_place
from transformers_hem.feedback.pushing import Pusher, push_all
from transformers_hem.feedback.writer import Writer


@asynccontextmanager
async def edge(path: Path, count: int) -> AsyncIterator[tuple[Place, Writer]]:
    """A store with so many decisions, and feedback on each."""
    place = read_place(str(path))
    writer = Writer(lambda create: open_database(place, create=create))
    writer.start()
    for start in range(0, count, 200):
        names = [f"r{n}" for n in range(start, min(start + 200, count))]
        unit = Unit([decided(each, features=b"\x01") for each in names], [said(e) for e in names])
        await writer.keep(unit)
    try:
        yield place, writer
    finally:
        await asyncio.to_thread(writer.close)


@pytest.fixture(scope="module")
def central(start_server: StartServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, str]:
    store = tmp_path_factory.mktemp("central") / "feedback.db"
    settings = {"HEM_ALGORITHM": "EdgeOnly", "HEM_FEEDBACK_STORE": str(store)}
    settings["HEM_HOST"] = "127.0.0.1"
    ready = "/v2/models/qa-hem/ready"
    server = start_server("transformers_hem", "--model_name", "qa-hem", env=settings, ready=ready)
    return server, server.url


async def counts(url: str) -> tuple[int, int, int]:
    async with FeedbackClient(url) as client:
        found = await client.status()
    return found["decisions"]["rows"], found["feedback"]["rows"], found["unknown"]


async def test_all_is_pushed_once_however_often(central: tuple[Any, str], tmp_path: Path) -> None:
    _, url = central
    before = await counts(url)
    async with edge(tmp_path / "edge.db", 1200) as (place, _), FeedbackClient(url) as client:
        assert await push_all(place, client) == (1200, 1200)
        assert await push_all(place, client) == (0, 0)
    after = await counts(url)
    assert (after[0] - before[0], after[1] - before[1], after[2]) == (1200, 1200, 0)


async def test_long_texts_are_pushed_in_bodies_that_a_server_takes(
    central: tuple[Any, str], tmp_path: Path
) -> None:
    _, url = central
    async with edge(tmp_path / "edge.db", 0) as (place, writer), FeedbackClient(url) as client:
        for part in range(2):
            many = [said(f"long{part}-{n}", answer="x" * 60_000) for n in range(100)]
            await writer.keep(Unit((), many))
        assert await push_all(place, client) == (0, 200)
        assert await push_all(place, client) == (0, 0)


async def test_a_server_sends_on_what_comes_and_goes_on_where_it_was(
    central: tuple[Any, str], tmp_path: Path
) -> None:
    _, url = central
    before = await counts(url)
    for count in (3, 2):  # started anew in between
        async with edge(tmp_path / "edge.db", 0) as (place, writer):
            pusher = Pusher(place, writer, url, "", seconds=0.05)
            pusher.start()
            await writer.keep(Unit([decided(f"s{count}-{n}") for n in range(count)]))
            deadline = time.monotonic() + 20
            expected = before[0] + (3 if count == 3 else 5)
            while (await counts(url))[0] != expected:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.05)
            await asyncio.to_thread(pusher.close)


async def test_without_a_link_it_waits_and_says_so(tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    async with edge(tmp_path / "edge.db", 1) as (place, _), FeedbackClient(nobody) as client:
        with pytest.raises(UpstreamError, match="can't be reached"):
            await push_all(place, client)


async def test_only_a_file_is_sent_on() -> None:
    url = "postgresql://hem@127.0.0.1/feedback"
    with pytest.raises(ConfigurationError, match="only a file is sent on"):
        async with collecting(url, feedback_push="http://127.0.0.1:1"):
            pass
