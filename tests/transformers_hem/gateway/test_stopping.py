"""SIGTERM lets streams come to their end: at a predictor, and at the gateway in front of it."""

import asyncio
import json
from pathlib import Path

import httpx
import pytest

from tests.conftest import ServerProcess, StartServer

TEXT = " ".join(f"word{number}" for number in range(20))
CHAT = {"messages": [{"role": "user", "content": "hello"}], "stream": True, "temperature": 0}


@pytest.fixture
def predictor(start_server: StartServer, tmp_path: Path) -> ServerProcess:
    """Ten words a second."""
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"query": "hello", "text": TEXT}) + "\n")
    return start_server(
        *("predictors", "--model_name", "m", "--engine", "recorded", "--recordings", str(rows)),
        *("--tokens_per_second", "10", "--drain_seconds", "0"),
        ready="/v2/models/m/ready",
    )


@pytest.fixture
def gateway(start_server: StartServer, predictor: ServerProcess) -> ServerProcess:
    variables = {
        "HEM_ALGORITHM": "EdgeOnly",
        "HEM_HOST": "127.0.0.1",
        "HEM_DRAIN_SECONDS": "0",
        "HEM_EDGE_URL": predictor.url,
        "HEM_CLOUD_URL": predictor.url,
    }
    arguments = ("transformers_hem", "--model_name", "m-hem")
    return start_server(*arguments, env=variables, ready="/v2/models/m-hem/ready")


@pytest.mark.parametrize("name", ["predictor", "gateway"])
async def test_a_running_stream_is_whole(name: str, request: pytest.FixtureRequest) -> None:
    server: ServerProcess = request.getfixturevalue(name)
    events: list[str] = []
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        asked = {**CHAT, "model": "m"}
        async with client.stream("POST", "/v1/chat/completions", json=asked) as answer:
            assert answer.status_code == 200
            async for line in answer.aiter_lines():
                if line.startswith("data: "):
                    events.append(line.removeprefix("data: "))
                    if len(events) == 3:
                        server.process.terminate()
    assert events[-1] == "[DONE]"
    choices = [json.loads(event)["choices"][0] for event in events[:-1]]
    assert "".join(choice["delta"].get("content") or "" for choice in choices) == TEXT
    assert choices[-1]["finish_reason"] == "stop"
    assert await asyncio.to_thread(server.process.wait, 20) == 0
    assert "Traceback" not in server.log.read_text()
