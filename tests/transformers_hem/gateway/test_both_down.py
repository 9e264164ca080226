"""Where all sides that may answer are believed to be down, the belief is tried."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import httpx
import pytest

from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import (
    Body,
    Side,
    refused,
    scripted_side,
    streamed,
)
from tests.transformers_hem.gateway.test_failover import PATH, hem_of, is_whole, text_of
from tests.transformers_hem.gateway.test_sticky import Private
from transformers_hem.guards.base import Guard

# One failure opens a breaker, for longer than a test lasts.
LIMITS = {"breaker_failures": 1, "breaker_seconds": 60}
WAIT = b"HTTP/1.1 429 X\r\nretry-after: 50\r\nconnection: close\r\n\r\n{}"


@dataclass
class Pair:
    """`says`: what each side answers from now on, None: nothing, and its answer does not end."""

    client: httpx.AsyncClient
    edge: Side
    cloud: Side
    says: dict[str, bytes | None] = field(default_factory=dict)

    @property
    def asked(self) -> tuple[int, int]:
        return len(self.edge.asked), len(self.cloud.asked)


@contextlib.asynccontextmanager
async def pair(down: bytes = refused(503), **options: Any) -> AsyncIterator[Pair]:
    """Both have just failed with this."""
    says: dict[str, bytes | None] = {"edge": down, "cloud": down}

    def side(name: str) -> contextlib.AbstractAsyncContextManager[Side]:
        def answer(body: Body) -> bytes:
            return says[name] or b""

        return scripted_side(answer, ends=lambda _: says[name] is not None)

    async with (
        side("edge") as edge,
        side("cloud") as cloud,
        gateway(edge=edge.url, cloud=cloud.url, limits=LIMITS, **options) as client,
    ):
        for model in ("qa-edge", "qa-cloud"):
            assert (await client.post(PATH, json=chat(model=model))).status_code == 503
        yield Pair(client, edge, cloud, says)


RULES: dict[str, dict[str, Any]] = {
    "the edge is chosen": {"algorithm": "EdgeOnly"},
    "the cloud is chosen": {"algorithm": "CloudOnly"},
    "the edge's answer decides": {"algorithm": "ConfidenceRouter"},
    "its beginning decides": {"algorithm": "ConfidenceRouter", "decide_at": "sentence"},
}


@pytest.mark.parametrize("rule", list(RULES)[:2])
async def test_an_edge_that_is_back_answers_at_once(rule: str) -> None:
    async with pair(**RULES[rule]) as sides:
        sides.says["edge"] = streamed("small", "the edge")
        reply = await sides.client.post(PATH, json=chat())
        again = await sides.client.post(PATH, json=chat())
    for each in (reply, again):
        assert (text_of(each), is_whole(each)) == ("the edge", True)
        assert hem_of(each)["served_by"] == "small"
    assert sides.asked == (3, 1)


@pytest.mark.parametrize("rule", RULES)
async def test_a_cloud_that_is_back_answers_at_once_too(rule: str) -> None:
    async with pair(**RULES[rule]) as sides:
        sides.says["cloud"] = streamed("big", "the cloud")
        reply = await sides.client.post(PATH, json=chat())
    assert (text_of(reply), is_whole(reply)) == ("the cloud", True)
    hem = hem_of(reply)
    assert (hem["route"], hem["served_by"], "degraded" in hem) == ("cloud", "big", False)
    assert sides.asked == (2, 2)


async def test_who_forces_a_side_is_refused_only_while_it_is_down() -> None:
    async with pair() as sides:
        down = await sides.client.post(PATH, json=chat(model="qa-edge"))
        sides.says["edge"] = streamed("small", "the edge")
        reply = await sides.client.post(PATH, json=chat(model="qa-edge"))
    assert (down.status_code, down.json()["error"]["message"].count("the edge: ")) == (503, 1)
    assert "the cloud" not in down.text
    assert (text_of(reply), sides.asked) == ("the edge", (3, 1))


async def test_a_private_question_asks_an_edge_that_is_believed_to_be_down() -> None:
    async with pair(guards={"private": Private(Guard.Parameters())}) as sides:
        sides.says |= dict.fromkeys(("edge", "cloud"), streamed("m", "hello"))
        reply = await sides.client.post(PATH, json=chat())
    assert text_of(reply) == "hello"
    assert len(sides.cloud.asked) == 0


async def test_while_one_is_believed_to_be_well_the_other_is_left_alone() -> None:
    async with pair(algorithm="CloudOnly") as sides:
        sides.says["edge"] = streamed("small", "the edge")
        for _ in range(5):
            await sides.client.post(PATH, json=chat())
    assert sides.asked == (1 + 5, 1)


@pytest.mark.parametrize("rule", RULES)
async def test_where_both_are_down_the_refusal_names_both(rule: str) -> None:
    async with pair(**RULES[rule]) as sides:
        reply = await sides.client.post(PATH, json=chat())
    message = reply.json()["error"]["message"]
    assert (reply.status_code, sides.asked) == (503, (2, 2))
    assert f"the edge: {sides.edge.url}" in message
    assert f"the cloud: {sides.cloud.url}" in message
    assert 1 <= int(reply.headers["retry-after"]) <= 60


async def test_at_most_one_question_at_a_time_tries_each_side() -> None:
    async with pair(algorithm="EdgeOnly") as sides:
        sides.says |= {"edge": None, "cloud": None}
        asking = [
            asyncio.create_task(sides.client.post(PATH, json=chat(), headers={"n": str(n)}))
            for n in range(20)
        ]
        refusals = [await each for each in islice(asyncio.as_completed(asking), 18)]
        await asyncio.gather(sides.edge.reached.wait(), sides.cloud.reached.wait())
        assert sides.asked == (2, 2)
        assert {reply.status_code for reply in refusals} == {503}
        assert all("the edge: " in r.text and "the cloud: " in r.text for r in refusals)
        for each in asking:
            each.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def test_a_server_that_asks_for_time_gets_it() -> None:
    async with pair(WAIT, algorithm="EdgeOnly") as sides:
        sides.says |= dict.fromkeys(("edge", "cloud"), streamed("m", "hello"))
        reply = await sides.client.post(PATH, json=chat())
    assert (reply.status_code, sides.asked) == (503, (1, 1))
    assert 40 <= int(reply.headers["retry-after"]) <= 50


async def test_a_try_ends_at_the_callers_deadline() -> None:
    async with pair() as sides:
        sides.says |= {"edge": None, "cloud": None}
        reply = await sides.client.post(PATH, json=chat(), headers={"x-hem-deadline": "0.4"})
        await asyncio.wait_for(sides.edge.gone.wait(), 5)
    assert reply.status_code in (503, 504)
