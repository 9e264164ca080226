"""Feedback that was acknowledged survives kill -9 at any moment, and is sent on once."""

import asyncio
import itertools
from pathlib import Path

import httpx
import pytest

from tests.conftest import ServerProcess, StartServer
from tests.transformers_hem.feedback.killing import Senders, kept, kills

KILLS, MANY, WHILE_SENT_ON = 3, 100, 30
READY = "/v2/models/qa-hem/ready"


def starting(start_server: StartServer, path: Path, **settings: str) -> ServerProcess:
    settings |= {
        "HEM_ALGORITHM": "EdgeOnly",
        "HEM_FEEDBACK_STORE": str(path),
        "HEM_HOST": "127.0.0.1",
    }
    return start_server("transformers_hem", "--model_name", "qa-hem", env=settings, ready=READY)


async def none_is_lost(start_server: StartServer, path: Path, count: int) -> None:
    senders = Senders()
    await kills(lambda: starting(start_server, path), senders, count)
    found = kept(path)
    assert len(found) == len(set(found))  # each once
    assert senders.acknowledged <= set(found)
    assert len(senders.acknowledged) > 10 * count
    server = starting(start_server, path)  # and it goes on
    server.stop()
    assert "older copy" not in server.log.read_text()


async def test_a_few_kills_lose_nothing(start_server: StartServer, tmp_path: Path) -> None:
    await none_is_lost(start_server, tmp_path / "feedback.db", KILLS)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_a_hundred_kills_lose_nothing(start_server: StartServer, tmp_path: Path) -> None:
    await none_is_lost(start_server, tmp_path / "feedback.db", MANY)


@pytest.mark.soak
@pytest.mark.timeout(1800)
async def test_kills_of_an_edge_that_sends_on_and_of_its_central_server_lose_and_double_nothing(
    start_server: StartServer, tmp_path: Path
) -> None:
    there, here = tmp_path / "central.db", tmp_path / "edge.db"
    central = starting(start_server, there)
    edge = starting(start_server, here, HEM_FEEDBACK_PUSH=central.url)
    senders = Senders()
    async with httpx.AsyncClient(base_url=edge.url, timeout=20) as client:
        sending = asyncio.create_task(sends_always(senders, client))
        for _, killed in zip(range(WHILE_SENT_ON), itertools.cycle((edge, central)), strict=False):
            await arrive(there, len(kept(there)) + 1)
            await asyncio.to_thread(killed.restart, READY)
        sending.cancel()
    await asyncio.to_thread(edge.restart, READY)  # its first look is soon
    await arrive(there, len(kept(here)))
    found = kept(there)
    assert sorted(found) == sorted(kept(here)) and len(found) == len(set(found))
    assert senders.acknowledged <= set(found)
    assert len(senders.acknowledged) > 10 * WHILE_SENT_ON


async def sends_always(senders: Senders, client: httpx.AsyncClient) -> None:
    while True:
        await senders.send(client)
        await asyncio.sleep(0.05)  # nobody answers just now


async def arrive(path: Path, count: int) -> None:
    async with asyncio.timeout(120):
        while len(kept(path)) < count:
            await asyncio.sleep(0.01)
