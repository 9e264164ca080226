"""A service that is frozen is given up where the router is told to look; one that works is not."""

import asyncio
import json
from collections.abc import Sequence

import httpx
import pytest

from tests.inferencegraph.router.graph_under_test import routing, sequence
from tests.predictors.upstream.slow_side import Part, dripped, head, slow_side, v2

LONG = 60.0  # what no graph here takes, however loaded the machine is; serviceClient is longer


async def answer(
    parts: Sequence[Part], healthy: bool = True, health_timeout: float = 1.5
) -> httpx.Response:
    """Of a graph that calls a service with such an answer, and would call it once more."""
    async with slow_side(parts, health=lambda: healthy) as url:
        step = {"serviceUrl": f"{url}/v2/models/m/infer", "dependency": "Hard"}
        async with asyncio.timeout(LONG), routing(sequence(step), (), health_timeout) as client:
            return await client.post("/", json={})


NO_HEALTH = "/v2/health/live did not answer, nor tell its health within 1.5 s"
SILENT: dict[str, tuple[list[Part], str]] = {
    "at once": ([(100.0, b"")], NO_HEALTH),
    "behind its head": ([(0.0, head()), (100.0, b"")], NO_HEALTH),
    "in its head": ([(0.0, b"HTTP/1.1 200 OK\r\n"), (100.0, b"")], "drips"),
    "in its body": ([(0.0, head() + v2("yes" * 500)[:-1]), (100.0, b"")], "drips"),
}


@pytest.mark.parametrize(("parts", "cause"), SILENT.values(), ids=SILENT)
async def test_a_service_that_falls_silent_is_an_error_at_once(
    parts: Sequence[Part], cause: str
) -> None:
    failed = await answer(parts, healthy=False)
    assert failed.status_code == 500
    assert failed.json()["error"] == "Failed to process request"
    assert cause in failed.json()["cause"]


async def test_a_service_that_drips_is_an_error_though_it_is_well() -> None:
    failed = await answer([(0.0, head()), *dripped(v2("yes"))])
    assert failed.status_code == 500
    assert "drips: its answer comes at less than 256 bytes/s" in failed.json()["cause"]


@pytest.mark.parametrize("seconds", [1.0, 5.0])
async def test_a_slow_service_that_is_well_is_waited_for(seconds: float) -> None:
    answered = await answer([(seconds, head() + v2("yes"))])
    assert answered.json() == json.loads(v2("yes"))


async def test_without_a_health_timeout_nobody_asks_as_in_kserve() -> None:
    answered = await answer([(4.0, head() + v2("yes"))], healthy=False, health_timeout=0.0)
    assert answered.json() == json.loads(v2("yes"))


async def test_only_the_frozen_service_is_given_up() -> None:
    async with (
        slow_side([(100.0, b"")], health=lambda: False) as frozen,
        slow_side([(4.0, head() + v2("yes"))]) as well,
    ):
        steps = [
            {"name": "frozen", "serviceUrl": frozen, "condition": "frozen"},
            {"name": "well", "serviceUrl": well, "condition": "well"},
        ]
        graph = {"nodes": {"root": {"routerType": "Switch", "steps": steps}}}
        async with asyncio.timeout(LONG), routing(graph, (), 1.5) as client:
            bodies = ({"frozen": 1}, {"well": 1})
            answers = await asyncio.gather(*(client.post("/", json=body) for body in bodies))
    assert [reply.status_code for reply in answers] == [500, 200]
