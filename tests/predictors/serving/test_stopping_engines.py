"""The engine outlives both servers, whichever it is: a call under way at SIGTERM is answered."""

import asyncio
from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.conftest import ServerProcess, StartServer
from tests.predictors.serving.test_stopping import ended, over_grpc, rest, takes_nobody
from tests.scripted_api import ScriptedAPI
from tests.waiting import eventually


@pytest.fixture
def slow() -> Iterator[ScriptedAPI]:
    """Answers when it may."""
    with ScriptedAPI(["slow"], "far") as api:
        api.may.clear()
        yield api


QUERIES = {"huggingface": "Write a long poem about 1000 ships.", "kserve": "sleep 2"}


def answers_somebody(server: ServerProcess) -> bool:
    return "hem_http_requests_under_way 1.0" in httpx.get(f"{server.url}/metrics").text


@pytest.mark.parametrize("engine", ["openai_api", "kserve", "huggingface"])
@pytest.mark.parametrize("cache", ["off", "memory"])
async def test_a_call_under_way_is_answered(
    start_server: StartServer, slow: ScriptedAPI, scripted: ServerProcess, engine: str, cache: str
) -> None:
    arguments = {
        "openai_api": ["--url", slow.url, "--upstream_model", "far"],
        "kserve": ["--url", scripted.url, "--upstream_model", "m"],
        "huggingface": ["--model_dir", "embedded:edge", "--max_tokens", "512"],
    }
    server = await asyncio.to_thread(
        start_server,
        *("predictors", "--model_name", "m", "--engine", engine, *arguments[engine]),
        *("--cache", cache),
        ready="/v2/models/m/ready",
    )
    waited = len(scripted.logged("scripted: waits"))
    under_way: dict[str, Callable[[], bool]] = {
        "openai_api": lambda: len(slow.asked) == 2,
        "kserve": lambda: len(scripted.logged("scripted: waits")) == waited + 2,
        "huggingface": lambda: answers_somebody(server),
    }
    text = QUERIES.get(engine, "hello")
    remote = asyncio.create_task(over_grpc(server, text + " "))
    if engine == "huggingface":
        await asyncio.sleep(0.3)  # nothing tells that a call by gRPC has come
    answer = asyncio.create_task(rest(server, text))
    await asyncio.to_thread(eventually, under_way[engine])
    server.process.terminate()
    await takes_nobody(server)
    slow.may.set()
    assert (await answer).status_code == 200 and await remote
    assert await ended(server) == 0
    assert "Traceback" not in server.log.read_text()
