"""The engine outlives both servers, whichever it is: a call under way at SIGTERM is answered."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from tests.conftest import ServerProcess, StartServer
from tests.predictors.serving.test_stopping import ended, over_grpc, rest


@pytest.fixture
async def slow_openai() -> AsyncIterator[str]:
    """The base URL of an OpenAI server that answers after two seconds."""
    message = {"role": "assistant", "content": "slow"}
    body = json.dumps({"model": "far", "choices": [{"index": 0, "message": message}]}).encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        await asyncio.sleep(2)
        kind = "content-type: application/json\r\nconnection: close"
        writer.write(f"HTTP/1.1 200 OK\r\n{kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode())
        writer.write(body)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    server.close()


QUERIES = {"huggingface": "Write a long poem about 1000 ships."}


@pytest.mark.parametrize("engine", ["openai_api", "kserve", "huggingface"])
@pytest.mark.parametrize("cache", ["off", "memory"])
async def test_a_call_under_way_is_answered(
    start_server: StartServer, slow_openai: str, scripted: ServerProcess, engine: str, cache: str
) -> None:
    arguments = {
        "openai_api": ["--url", slow_openai, "--upstream_model", "far"],
        "kserve": ["--url", scripted.url, "--upstream_model", "m"],
        "huggingface": ["--model_dir", "embedded:edge", "--max_tokens", "512"],
    }
    server = await asyncio.to_thread(
        start_server,
        *("predictors", "--model_name", "m", "--engine", engine, *arguments[engine]),
        *("--cache", cache),
        ready="/v2/models/m/ready",
    )
    text = QUERIES.get(engine, "sleep 2")
    waiting = [
        asyncio.create_task(rest(server, text)),
        asyncio.create_task(over_grpc(server, text + " ")),
    ]
    await asyncio.sleep(0.3)
    server.process.terminate()
    answer, remote = await asyncio.gather(*waiting)
    assert answer.status_code == 200 and remote
    assert await ended(server) == 0
    assert "Traceback" not in server.log.read_text()
