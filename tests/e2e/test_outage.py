"""The cloud is killed while queries run: every one is answered, the rest of them by the edge."""

import asyncio
import signal
from collections.abc import Iterator

import httpx
import pytest

from predictors.contract import HEM_PREFER
from predictors.embedded.workshop.questions import test_questions as shipped_questions
from predictors.upstream.ask import Reply, ask
from predictors.upstream.client import build_client
from tests.e2e.conftest import MODES, start
from tests.inferencegraph.running_hem import RunningHem, still_there

pytestmark = pytest.mark.slow

REQUESTS, KILLED_AFTER, AT_A_TIME = 200, 40, 8


@pytest.fixture(params=MODES)
def stack(request: pytest.FixtureRequest) -> Iterator[RunningHem]:
    with start(request.param) as running:
        yield running


async def ask_while_the_cloud_dies(stack: RunningHem) -> list[Reply]:
    """Everything is asked of the cloud, so that the outage meets every query."""
    places, answered = asyncio.Semaphore(AT_A_TIME), asyncio.Event()
    queries = [question.query for question in shipped_questions()[:REQUESTS]]
    done = 0

    async def one(client: httpx.AsyncClient, query: str) -> Reply:
        nonlocal done
        async with places:
            reply = await ask(client, stack.url, [query], {HEM_PREFER: "cloud"})
        done += 1
        if done == KILLED_AFTER:
            answered.set()
        return reply

    async with build_client(60) as client, asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(client, query)) for query in queries]
        await answered.wait()
        stack.kill("qa-cloud")
    return [task.result() for task in tasks]


async def test_an_outage_of_the_cloud_loses_no_query(stack: RunningHem) -> None:
    replies = await ask_while_the_cloud_dies(stack)
    servers = [reply.answers[0].served_by for reply in replies]
    assert len(servers) == REQUESTS
    assert set(servers) == {"qa-cloud", "qa-edge"}
    assert servers.count("qa-edge") >= REQUESTS - KILLED_AFTER - AT_A_TIME
    died = stack.wait_for("died")
    assert (died["name"], died["reason"]) == ("qa-cloud", "signal SIGKILL")

    family = stack.family()
    assert stack.stop(signal.SIGINT) < 5
    assert still_there(family) == []
