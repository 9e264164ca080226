"""A gateway that is killed in the middle of answers, and started again, spends no more than it may,
and its ledger holds."""

import asyncio
import json
import signal
from pathlib import Path

import httpx
import pytest

from predictors.upstream.ledger.verify import verify
from tests.conftest import ServerProcess, StartServer
from tests.predictors.upstream.ledger.reading import lines
from tests.predictors.upstream.slow_side import head
from tests.transformers_hem.gateway.gateway_under_test import chat
from tests.transformers_hem.gateway.scripted_side import DONE, SSE, event, scripted_side, usage
from tests.transformers_hem.gateway.test_failover import EDGE, PATH, answers

pytestmark = pytest.mark.slow

LIMIT, MOST, USED, AT_ONCE, KILLS = 4_000, 100, 90, 8, 2
COUNTS = json.dumps({"model": "big", "choices": [], "usage": usage(30, USED - 30)})
END = event("big", None, "stop") + b"data: " + COUNTS.encode() + b"\n\n" + DONE
SLOW = (head(SSE), *(event("big", "word ") for _ in range(8)), END)  # takes half a second


async def asks(client: httpx.AsyncClient, reasons: list[str]) -> None:
    """Until the budget is used up, or the gateway is gone."""
    while "BudgetGuard" not in reasons:
        try:
            reply = await client.post(PATH, json=chat(max_tokens=MOST))
        except httpx.HTTPError:
            return
        reasons.append(reply.headers.get("x-hem-reason", ""))


async def test_killed_and_started_again(start_server: StartServer, tmp_path: Path) -> None:
    path, reasons = tmp_path / "egress.jsonl", []
    parameters = {"state": str(tmp_path / "budget.db"), "tokens": str(LIMIT)}

    def started(edge: str, cloud: str) -> ServerProcess:
        settings = {
            "HEM_ALGORITHM": "CloudOnly",
            "HEM_GUARDS": json.dumps([{"name": "BudgetGuard", "parameters": parameters}]),
            "HEM_LEDGER": str(path),
            "HEM_EDGE_URL": f"{edge}/v1",
            "HEM_EDGE_MODEL": "small",
            "HEM_CLOUD_URL": f"{cloud}/v1",
            "HEM_CLOUD_MODEL": "big",
            "HEM_HOST": "127.0.0.1",
        }
        name = ("--model_name", "qa-hem")
        return start_server(
            "transformers_hem", *name, env=settings, ready="/v2/models/qa-hem/ready"
        )

    async with scripted_side(answers(EDGE)) as edge, scripted_side(answers(SLOW)) as cloud:
        for kill in range(KILLS + 1):
            server = await asyncio.to_thread(started, edge.url, cloud.url)
            async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
                tasks = [asyncio.create_task(asks(client, reasons)) for _ in range(AT_ONCE)]
                await asyncio.wait(tasks, timeout=20 if kill == KILLS else 0.7)
                server.process.send_signal(signal.SIGKILL)
                await asyncio.gather(*tasks)
            await asyncio.to_thread(server.process.wait)
            assert verify(path).open <= (kill + 1) * AT_ONCE
        sent = [row for row in lines(path, "intent") if row["method"] == "POST"]
        assert KILLS * AT_ONCE < len(cloud.asked) <= len(sent)
    assert "BudgetGuard" in reasons
    assert len(sent) * USED <= LIMIT
