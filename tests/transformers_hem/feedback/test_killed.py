"""Feedback that was acknowledged survives kill -9 at any moment."""

from pathlib import Path

import pytest

from tests.conftest import ServerProcess, StartServer
from tests.transformers_hem.feedback.killing import Senders, kept, kills

KILLS, MANY = 3, 100


def starting(start_server: StartServer, path: Path) -> ServerProcess:
    settings = {
        "HEM_ALGORITHM": "EdgeOnly",
        "HEM_FEEDBACK_STORE": str(path),
        "HEM_HOST": "127.0.0.1",
    }
    ready = "/v2/models/qa-hem/ready"
    return start_server("transformers_hem", "--model_name", "qa-hem", env=settings, ready=ready)


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
