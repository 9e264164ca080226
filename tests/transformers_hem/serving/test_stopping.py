"""HEM at SIGTERM: its probes fail first, calls under way are answered, its client closes last."""

import asyncio
from pathlib import Path

import httpx

from predictors.contract import text_request
from tests.conftest import ServerProcess, StartServer
from tests.predictors.serving.test_stopping import (
    PROBES,
    at_work,
    ended,
    over_grpc,
    rest,
    stops,
    takes_nobody,
)

ANSWER_STAGE = {"HEM_ALGORITHM": "ConfidenceRouter", "HEM_THRESHOLD": "0.5"}


def predictor(start_server: StartServer) -> ServerProcess:
    arguments = ["--model_name", "m", "--engine", "scripted"]
    return start_server("tests.predictors.scripted", *arguments, ready=PROBES[1])


async def test_a_call_under_way_in_the_predictor_is_answered(
    start_server: StartServer, tmp_path: Path
) -> None:
    behind, text = predictor(start_server), f"until {tmp_path / 'end'}"
    arguments = ["--model_name", "m", "--predictor_host", behind.host]
    hem = start_server("transformers_hem", *arguments, env=ANSWER_STAGE, ready=PROBES[1])
    waiting = [
        asyncio.create_task(rest(hem, text)),
        asyncio.create_task(over_grpc(hem, text)),
    ]
    await at_work(behind, 2)
    hem.process.terminate()
    await takes_nobody(hem)
    (tmp_path / "end").touch()
    answer, remote = await asyncio.gather(*waiting)
    assert (answer.status_code, remote) == (200, text.upper())
    assert await ended(hem) == 0
    assert "Traceback" not in hem.log.read_text()


async def test_probes_fail_first_while_new_connections_are_served(
    start_server: StartServer,
) -> None:
    behind = f"127.0.0.1:{predictor(start_server).port}"
    stages = {
        "EdgeOnly": ["--model_name", "m"],
        "ConfidenceRouter": ["--model_name", "m", "--predictor_host", behind],
    }
    for algorithm, arguments in stages.items():
        env = {"HEM_ALGORITHM": algorithm, "HEM_DRAIN_SECONDS": "3"}
        hem = start_server("transformers_hem", *arguments, env=env, ready=PROBES[1])
        hem.process.terminate()
        await stops(hem)
        async with httpx.AsyncClient(base_url=hem.url) as client:
            assert [(await client.get(path)).status_code for path in PROBES] == [503] * 3
            assert (await client.get("/v2/health/live")).status_code == 200
            answer = await client.post("/v2/models/m/infer", json=text_request(["x"]))
        assert (answer.status_code, answer.headers["connection"]) == (200, "close")
        assert await ended(hem) == 0
