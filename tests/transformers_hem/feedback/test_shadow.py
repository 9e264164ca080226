"""A share of one side's answers is compared with the other's, and never past a guard."""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from predictors.errors import ConfigurationError
from predictors.upstream.ledger.verify import verify
from tests.predictors.upstream.ledger.reading import lines
from tests.transformers_hem.feedback.collecting import collecting
from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import (
    SSE,
    Side,
    event,
    head,
    never,
    scripted_side,
    streamed,
    whole,
)
from transformers_hem.feedback.collecting import Collecting
from transformers_hem.feedback.place import read_place
from transformers_hem.feedback.reading import Example, examples, reading
from transformers_hem.feedback.tables import DECISIONS
from transformers_hem.gateway.build import build_gateway
from transformers_hem.reload.reloading import Reloading
from transformers_hem.serving.query_stage import MiningThenInference
from transformers_hem.serving.settings import HEMSettings, build_decider

PATH = "/v1/chat/completions"


@asynccontextmanager
async def shadowed(
    store: Path,
    *,
    draw: float = 0.0,
    guards: str = "",
    shares: Mapping[str, float] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[httpx.AsyncClient, Side, Collecting]]:
    """A gateway whose edge says "It is 2." and whose cloud says "It is two."; `draw` is drawn."""
    kept = {"feedback_shadow": 0.25, **(shares or {})}
    options.setdefault("algorithm", "EdgeOnly")
    chosen = build_decider(HEMSettings(algorithm="EdgeOnly", guards=guards)).guards
    async with AsyncExitStack() as stack:
        edge = await stack.enter_async_context(scripted_side(answering("small", "It is ", "2.")))
        cloud = await stack.enter_async_context(scripted_side(answering("big", "It is ", "two.")))
        _, service = await stack.enter_async_context(collecting(str(store), **kept))
        assert service.shadow is not None
        service.shadow.draw = lambda: draw
        client = await stack.enter_async_context(
            gateway(
                edge=edge.url,
                cloud=cloud.url,
                guards=chosen,
                recorder=service.recorder,
                shadow=service.shadow,
                **options,
            )
        )
        yield client, cloud, service


def answering(model: str, *parts: str) -> Any:
    return lambda body: (
        streamed(model, *parts) if body.get("stream") else whole(model, "".join(parts))
    )


async def ended(service: Collecting) -> None:
    assert service.shadow is not None
    while service.shadow.tasks:
        await asyncio.sleep(0.01)


def read(path: Path) -> list[Example]:
    with reading(read_place(str(path))) as connection:
        return list(examples(connection))


async def test_both_answers_are_scored_and_weighed_by_the_share(tmp_path: Path) -> None:
    store, ledger = tmp_path / "feedback.db", tmp_path / "egress.jsonl"
    async with shadowed(store, ledger=ledger) as (client, cloud, service):
        for streams in (True, False):
            reply = await client.post(PATH, json=chat("What is 1 + 1?", stream=streams))
            assert reply.headers["x-hem-route"] == "edge"
            await ended(service)
        assert len(cloud.asked) == 2
    found = read(store)
    assert len(found) == 2
    for example in found:
        assert example.feedback.source == "shadow" and example.feedback.scorer == "token_f1"
        edge, big = example.scores
        assert big == 1.0 and edge is not None and 0 < edge < 1
        assert example.weight == 4 and example.decided.shadow_share == 0.25
    assert verify(ledger).open == 0
    sent = [row for row in lines(ledger, "intent") if row["method"] == "POST"]
    assert [row["decision"]["reason"] for row in sent] == ["shadow"] * 2


@pytest.mark.parametrize("streams", [True, False])
async def test_of_what_the_cloud_answered_the_edge_is_asked_with_the_same_share(
    tmp_path: Path, streams: bool
) -> None:
    store = tmp_path / "feedback.db"
    async with shadowed(store, algorithm="CloudOnly") as (client, cloud, service):
        reply = await client.post(PATH, json=chat("What is 1 + 1?", stream=streams))
        assert reply.headers["x-hem-route"] == "cloud"
        await ended(service)
        assert len(cloud.asked) == 1  # for its answer alone
    (example,) = read(store)
    edge, big = example.scores
    assert big == 1.0 and edge is not None and 0 < edge < 1
    assert example.decided.served == "cloud"
    assert example.decided.shadow_share == 0.25 and example.weight == 4


@pytest.mark.parametrize(
    ("algorithm", "shares", "share", "compared"),
    [
        ("EdgeOnly", {"feedback_shadow_edge": 0.75}, 0.25, False),
        ("CloudOnly", {"feedback_shadow_edge": 0.75}, 0.75, True),
        ("CloudOnly", {"feedback_shadow": 0.0, "feedback_shadow_edge": 0.75}, 0.75, True),
        ("EdgeOnly", {"feedback_shadow": 0.75, "feedback_shadow_edge": 0.0}, 0.75, True),
        ("CloudOnly", {"feedback_shadow": 0.75, "feedback_shadow_edge": 0.0}, 0.0, False),
    ],
)
async def test_each_side_has_a_share_of_its_own(
    tmp_path: Path, algorithm: str, shares: Mapping[str, float], share: float, compared: bool
) -> None:
    """A half is drawn. What the cloud has answered can be compared without any call of it."""
    store = tmp_path / "feedback.db"
    async with shadowed(store, draw=0.5, algorithm=algorithm, shares=shares) as (
        client,
        _,
        service,
    ):
        assert (await client.post(PATH, json=chat("What is 1 + 1?"))).status_code == 200
        await ended(service)
    with reading(read_place(str(store))) as connection:
        (kept,) = connection.execute(select(DECISIONS.c.shadow_share)).scalars()
    assert kept == share
    assert [example.decided.shadow_share for example in read(store)] == [share] * compared


@pytest.mark.parametrize("name", ["feedback_shadow", "feedback_shadow_edge"])
async def test_a_server_without_a_gateway_can_ask_nobody(tmp_path: Path, name: str) -> None:
    settings = HEMSettings(algorithm="EdgeOnly")
    current = Reloading(settings).current
    options = argparse.Namespace(model_name="qa-hem", predictor_host=None)
    miner = MiningThenInference("qa-hem", current.now.decider)
    async with collecting(str(tmp_path / "feedback.db"), **{name: 0.1}) as (_, service):
        with pytest.raises(ConfigurationError, match=f"HEM_{name.upper()} is set"):
            build_gateway(settings, options, miner, current, service)


async def test_pairs_find_their_queries_where_requests_share_an_id(tmp_path: Path) -> None:
    store = tmp_path / "feedback.db"
    async with shadowed(store) as (client, _, service):
        for query in ("What is 1 + 1?", "Who wrote Faust?"):
            headers = {"x-request-id": "always"}
            assert (await client.post(PATH, json=chat(query), headers=headers)).status_code == 200
        await ended(service)
    assert len({example.decided.query_hash for example in read(store)}) == 2


async def test_an_edge_that_has_other_calls_is_not_asked(tmp_path: Path) -> None:
    store = tmp_path / "feedback.db"
    async with (
        scripted_side(lambda _: head(SSE) + event("small", "It"), ends=never) as edge,
        scripted_side(answering("big", "It is two.")) as cloud,
        collecting(str(store), feedback_shadow=0.25) as (_, service),
    ):
        assert service.shadow is not None
        service.shadow.draw, service.shadow.idle_seconds = lambda: 0.0, 0.1
        async with gateway(
            edge=edge.url,
            cloud=cloud.url,
            algorithm="CloudOnly",
            recorder=service.recorder,
            shadow=service.shadow,
        ) as client:
            busy = asyncio.create_task(client.post(PATH, json=chat("Go on", model="qa-edge")))
            async with asyncio.timeout(10):
                await edge.reached.wait()
            reply = await client.post(PATH, json=chat("What is 1 + 1?"))
            assert reply.status_code == 200
            await ended(service)
            assert len(edge.asked) == 1
            busy.cancel()
            await asyncio.gather(busy, return_exceptions=True)
    assert read(store) == []


async def test_what_waits_for_a_busy_edge_keeps_no_call_of_the_cloud(tmp_path: Path) -> None:
    store = tmp_path / "feedback.db"
    async with (
        scripted_side(lambda _: head(SSE) + event("small", "It"), ends=never) as busy,
        scripted_side(answering("small", "It is 2.")) as edge,
        scripted_side(answering("big", "It is two.")) as cloud,
        collecting(str(store), feedback_shadow=0.25) as (_, service),
    ):
        shadow = service.shadow
        assert shadow is not None
        shadow.draw = lambda: 0.0
        shared: dict[str, Any] = {"cloud": cloud.url, "recorder": service.recorder}
        async with (
            gateway(edge=busy.url, algorithm="CloudOnly", shadow=shadow, **shared) as first,
            gateway(edge=edge.url, algorithm="EdgeOnly", shadow=shadow, **shared) as second,
        ):
            asked = asyncio.create_task(first.post(PATH, json=chat("Go on", model="qa-edge")))
            async with asyncio.timeout(10):
                await busy.reached.wait()
            for client in (first, second):
                assert (await client.post(PATH, json=chat("What is 1 + 1?"))).status_code == 200
            async with asyncio.timeout(10):
                while len(shadow.tasks) > 1:
                    await asyncio.sleep(0.01)
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)
    assert [example.served for example in read(store)] == ["edge"]


async def test_what_is_not_drawn_is_not_sent_and_its_chance_is_known(tmp_path: Path) -> None:
    store = tmp_path / "feedback.db"
    async with shadowed(store, draw=0.25) as (client, cloud, service):
        reply = await client.post(PATH, json=chat("What is 1 + 1?"))
        request_id = reply.headers["x-request-id"]
        await ended(service)
        async with collecting_client(service) as feedback:
            await feedback.post("/feedback", json={"request_id": request_id, "thumbs": "up"})
        assert cloud.asked == []
    (example,) = read(store)
    assert example.decided.shadow_share == 0.25 and example.weight == 1


@asynccontextmanager
async def collecting_client(service: Collecting) -> AsyncIterator[httpx.AsyncClient]:
    from fastapi import FastAPI

    app = FastAPI()
    service.add_to(app)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://hem") as client:
        yield client


async def test_nothing_private_is_sent(tmp_path: Path) -> None:
    for action in ("keep", "redact"):
        guards = json.dumps([{"name": "PrivacyGuard", "parameters": {"action": action}}])
        if action == "keep":
            guards = json.dumps(["PrivacyGuard"])
        async with shadowed(tmp_path / f"{action}.db", guards=guards) as (client, cloud, service):
            reply = await client.post(PATH, json=chat("Write to ann.miller@example.com"))
            assert reply.headers["x-hem-route"] == "edge"
            await ended(service)
            assert cloud.asked == []


async def test_a_budget_that_is_used_up_keeps_it_here(tmp_path: Path) -> None:
    parameters = {"state": str(tmp_path / "budget.db"), "requests": "1"}
    guards = json.dumps([{"name": "BudgetGuard", "parameters": parameters}])
    store = tmp_path / "feedback.db"
    async with shadowed(store, guards=guards) as (client, cloud, service):
        for _ in range(3):
            assert (await client.post(PATH, json=chat("What is 1 + 1?"))).status_code == 200
            await ended(service)
        assert len(cloud.asked) == 1
    assert len(read(store)) == 1


async def test_who_chose_a_side_or_wants_tools_is_not_compared(tmp_path: Path) -> None:
    tools = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
    async with shadowed(tmp_path / "feedback.db") as (client, cloud, service):
        for body in (chat("1 + 1?", model="qa-edge"), chat("1 + 1?", n=2), chat("?", tools=tools)):
            assert (await client.post(PATH, json=body)).status_code == 200
        await ended(service)
        assert cloud.asked == []
