"""A real uplink, a proxy that records what it sends, and a real cloud behind it."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from predictors.contract import CLOUD, text_request
from predictors.upstream.ledger.decision import decided
from predictors.upstream.ledger.verify import verify
from predictors.upstream.settings import Limits
from tests.conftest import ServerProcess, StartServer
from tests.predictors.upstream.ledger.reading import lines, outcomes
from tests.predictors.upstream.recorder import Recorder, recorded
from transformers_hem.gateway.site import Target

MINED = {"hem_route": "cloud", "hem_reason": "algorithm", "hem_score": 0.9}
CHAT = {"model": "up", "messages": [{"role": "user", "content": "card 4111111111111111"}]}


@pytest.fixture(scope="module")
def cloud(start_server: StartServer) -> ServerProcess:
    arguments = ["--model_name", "m", "--engine", "scripted"]
    return start_server("tests.predictors.scripted", *arguments, ready="/v2/models/m/ready")


@asynccontextmanager
async def uplink_to(
    cloud: ServerProcess, start_server: StartServer, path: Path
) -> AsyncIterator[tuple[ServerProcess, Recorder]]:
    async with recorded(cloud.port) as recorder:
        uplink = await asyncio.to_thread(
            start_server,
            *("predictors", "--model_name", "up", "--engine", "kserve", "--url", recorder.url),
            *("--upstream_model", "m", "--ledger", str(path), "--ledger_segment_bytes", "4096"),
            *("--timeout", "8"),
            ready="/v2/models/up/ready",
        )
        yield uplink, recorder
        await asyncio.to_thread(uplink.stop)


async def test_every_byte_that_left_is_in_the_ledger_with_its_reason(
    cloud: ServerProcess, start_server: StartServer, tmp_path: Path
) -> None:
    path = tmp_path / "egress.jsonl"
    async with uplink_to(cloud, start_server, path) as (uplink, recorder):
        async with httpx.AsyncClient(base_url=uplink.url, timeout=30) as client:

            async def infer(text: str) -> httpx.Response:
                return await client.post(
                    "/v2/models/up/infer",
                    json=text_request([text], MINED),
                    headers={"x-request-id": f"id-{text.split()[0]}"},
                )

            asked = [infer(f"{n} 4111111111111111") for n in range(40)]
            answers = await asyncio.gather(*asked, infer("fail"), infer("sleep 60"))
            assert [a.status_code for a in answers].count(200) == 40
            path_of_chats = "/openai/v1/chat/completions"
            headers = {"x-hem-reason": "language", "x-request-id": "chat"}
            for body in (CHAT, {**CHAT, "stream": True}):
                chat = await client.post(path_of_chats, json=body, headers=headers)
                assert chat.status_code == 200
        target = Target(CLOUD, uplink.url, "up", Limits())
        with decided({**MINED, "hem_reason": "prefer"}):
            await target.http.post("/chat/completions", CHAT, dict)
        await target.close()
    assert uplink.log.read_text().count("sealed; head ") == len(list(tmp_path.iterdir())) - 2
    found = verify(path)
    assert found.open == 0 and found.files > 2
    assert f"closed; head {found.head}" in uplink.log.read_text()
    calls = lines(path, "intent")
    assert recorder.bodies() == sorted(
        (row["method"], row["bytes"], row.get("sha256")) for row in calls
    )
    reasons = [row.get("decision", {}).get("reason") for row in calls if not row.get("probe")]
    assert Counter(reasons) == {"algorithm": 42, "prefer": 1, "language": 2}
    assert Counter(row.get("request_id") for row in calls)["chat"] == 2
    ends = outcomes(path)
    assert sum("prompt_tokens" in end for end in ends.values()) == 43
    assert not any("4111111111111111" in file.read_text() for file in tmp_path.iterdir())


async def test_kill_9_of_an_uplink_that_calls_leaves_a_ledger_that_holds(
    cloud: ServerProcess, start_server: StartServer, tmp_path: Path
) -> None:
    path = tmp_path / "egress.jsonl"
    async with uplink_to(cloud, start_server, path) as (uplink, recorder):
        async with httpx.AsyncClient(base_url=uplink.url, timeout=30) as client:
            body: dict[str, Any] = text_request(["sleep 60"], {})
            asked = [
                asyncio.create_task(client.post("/v2/models/up/infer", json=body)) for _ in range(8)
            ]
            while sum(method == "POST" for method, *_ in recorder.bodies()) < 8:
                await asyncio.sleep(0.01)
            uplink.process.send_signal(signal.SIGKILL)
            await asyncio.gather(*asked, return_exceptions=True)
        await asyncio.to_thread(uplink.process.wait)
    assert verify(path).open == 8
    intents = [row for row in lines(path, "intent") if row["method"] == "POST"]
    assert len(intents) == 8
