"""What a chat cost: for its caller, who gets the answer's, and for Prometheus, which gets all."""

import asyncio
import json
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from predictors.prices import Price, Prices
from tests.transformers_hem.gateway.gateway_under_test import NOBODY, chat, gateway
from tests.transformers_hem.gateway.scripted_side import (
    SSE,
    Body,
    event,
    head,
    never,
    refused,
    scripted_side,
    streamed,
    usage,
    whole,
)

PRICES = Prices(
    currency="USD",
    models={
        "small": Price(input=1, output=2),
        "large": Price(input=10, output=20, cached_input=1),
    },
)
LARGE = usage(100, 10, cached=60)
LARGE_COST = (40 * 10 + 60 * 1 + 10 * 20) / 1e6


LABELS = ("model", "route", "outcome", "kind")


class Counters:
    """How far Prometheus' counters went on since this was made."""

    def __init__(self) -> None:
        self._before = self._now()

    def _now(self) -> dict[tuple[Any, ...], float]:
        return {
            (sample.name, *map(sample.labels.get, LABELS)): sample.value
            for metric in REGISTRY.collect()
            for sample in metric.samples
            if sample.name in ("hem_attempts_total", "hem_tokens_total", "hem_cost_total")
        }

    def counted(self, name: str) -> dict[tuple[Any, ...], float]:
        return {
            tuple(label for label in labels if label is not None): value - self._before.get(key, 0)
            for key, value in self._now().items()
            for labels in [key[1:]]
            if key[0] == name and value != self._before.get(key, 0)
        }

    async def settled(self, outcome: str) -> None:
        """Once an attempt ended so: a client that leaves does not see when."""
        async with asyncio.timeout(10):
            while not any(key[2] == outcome for key in self.counted("hem_attempts_total")):
                await asyncio.sleep(0.01)


async def ask(client: httpx.AsyncClient, **fields: Any) -> Body:
    """What the answer says of itself: of a stream its last chunk."""
    answer = await client.post("/v1/chat/completions", json=chat(**fields))
    assert answer.status_code == 200, answer.text
    if answer.headers["content-type"] == "application/json":
        return dict(answer.json())
    assert answer.text.endswith("data: [DONE]\n\n")
    return dict(json.loads(answer.text.split("\n\n")[-3].removeprefix("data: ")))


def large(body: Body) -> bytes:
    """As OpenAI does: a stream tells its usage to who asks for it."""
    if not body.get("stream"):
        return whole("large", "hi", usage=LARGE)
    asks = (body.get("stream_options") or {}).get("include_usage")
    return streamed("large", "h", "i", **({"usage": LARGE} if asks else {}))


def small(body: Body) -> bytes:
    return whole("small", *["hello"] * body.get("n", 1), usage=usage(5, 2 * body.get("n", 1)))


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("prices", [PRICES, None])
async def test_an_answer_says_what_it_cost(stream: bool, prices: Prices | None) -> None:
    counters = Counters()
    async with scripted_side(large) as cloud, gateway(cloud=cloud.url, prices=prices) as client:
        said = (await ask(client, stream=stream))["hem"]
    assert said.get("cost") == (pytest.approx(LARGE_COST) if prices else None)
    assert said.get("currency") == ("USD" if prices else None)
    assert "spent" not in said
    assert counters.counted("hem_attempts_total") == {("large", "cloud", "answered"): 1}
    assert counters.counted("hem_tokens_total") == {
        ("large", "cloud", "answered", "input"): 40,
        ("large", "cloud", "answered", "cached_input"): 60,
        ("large", "cloud", "answered", "output"): 10,
    }
    cost = counters.counted("hem_cost_total")
    assert cost == ({("large", "cloud", "answered"): pytest.approx(LARGE_COST)} if prices else {})


async def test_usage_of_a_stream_is_for_who_asks_for_it() -> None:
    async with scripted_side(large) as cloud, gateway(cloud=cloud.url) as client:
        asked = await ask(client, stream_options={"include_usage": True})
        assert (asked["choices"], asked["usage"]) == ([], LARGE)
        for fields in ({}, {"stream_options": {"include_usage": False}}):
            last = await ask(client, **fields)
            assert last["choices"][0]["finish_reason"] == "stop" and "usage" not in last
        assert [body["stream_options"]["include_usage"] for body in cloud.asked] == [True] * 3


async def test_a_price_may_be_that_of_the_model_that_was_asked_for() -> None:
    prices = Prices(currency="USD", models={"m": Price(input=10, output=10)})
    async with scripted_side(large) as cloud, gateway(cloud=cloud.url, prices=prices) as client:
        assert (await ask(client))["hem"]["cost"] == pytest.approx(110 * 10 / 1e6)


async def test_a_server_that_refuses_stream_options_is_asked_without() -> None:
    def plain(body: Body) -> bytes:
        if "stream_options" in body:
            return refused(400, "Unrecognized request argument supplied: stream_options")
        return streamed("plain", "h", "i", "!")

    counters = Counters()
    async with scripted_side(plain) as cloud, gateway(cloud=cloud.url, prices=PRICES) as client:
        for _ in range(2):
            assert "cost" not in (await ask(client))["hem"]
        assert ["stream_options" in body for body in cloud.asked] == [True, False, False]
        body = chat(stream_options={"include_usage": True}, model="qa-cloud")
        assert (await client.post("/v1/chat/completions", json=body)).status_code == 400
    counted = counters.counted("hem_tokens_total")
    assert counted == {("plain", "cloud", "answered", "output"): 6}


@pytest.mark.parametrize("stream", [True, False])
async def test_a_draft_that_was_thrown_away_is_reported_beside_the_answer(stream: bool) -> None:
    counters = Counters()
    async with (
        scripted_side(small) as edge,
        scripted_side(large) as cloud,
        gateway(
            edge=edge.url, cloud=cloud.url, algorithm="ConfidenceRouter", prices=PRICES
        ) as client,
    ):
        said = (await ask(client, stream=stream))["hem"]
    assert (said["served_by"], said["cost"]) == ("large", pytest.approx(LARGE_COST))
    (draft,) = said["spent"]
    assert draft.pop("cost") == pytest.approx((5 * 1 + 2 * 2) / 1e6)
    assert draft == {
        "route": "edge",
        "model": "small",
        "prompt_tokens": 5,
        "cached_tokens": 0,
        "completion_tokens": 2,
    }
    assert counters.counted("hem_attempts_total") == {
        ("small", "edge", "thrown_away"): 1,
        ("large", "cloud", "answered"): 1,
    }


@pytest.mark.parametrize("agree", [True, False])
async def test_sampled_answers_are_thrown_away_whoever_answers(agree: bool) -> None:
    def wavering(body: Body) -> bytes:
        answer = small(body)
        return answer if agree or "n" not in body else answer.replace(b'"hello"', b'"other"')

    counters = Counters()
    async with (
        scripted_side(wavering) as edge,
        scripted_side(large) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, algorithm="SelfConsistency") as client,
    ):
        said = (await ask(client, stream=False))["hem"]
    assert said["served_by"] == ("small" if agree else "large")
    (spent,) = said["spent"]
    assert spent["completion_tokens"] == (10 if agree else 12)
    attempts = counters.counted("hem_attempts_total")
    outcomes = {outcome: count for (_, side, outcome), count in attempts.items() if side == "edge"}
    assert outcomes == ({"thrown_away": 1, "answered": 1} if agree else {"thrown_away": 2})


async def test_where_the_cloud_fails_both_attempts_are_counted() -> None:
    counters = Counters()
    async with scripted_side(small) as edge, gateway(edge=edge.url, cloud=NOBODY) as client:
        said = (await ask(client, stream=False))["hem"]
    assert (said["served_by"], said["degraded"]) == ("small", "unreachable")
    assert counters.counted("hem_attempts_total") == {
        ("m", "cloud", "failed"): 1,
        ("small", "edge", "answered"): 1,
    }


@pytest.mark.parametrize("stream", [False, True])
async def test_where_the_cloud_fails_the_edges_draft_is_the_answer(stream: bool) -> None:
    counters = Counters()
    async with (
        scripted_side(small) as edge,
        gateway(edge=edge.url, cloud=NOBODY, algorithm="ConfidenceRouter") as client,
    ):
        said = (await ask(client, stream=stream))["hem"]
    assert (said["route"], said["served_by"]) == ("cloud", "small")
    assert said["degraded"] == "unreachable"
    assert "spent" not in said
    assert len(edge.asked) == 1
    assert counters.counted("hem_attempts_total") == {
        ("m", "cloud", "failed"): 1,
        ("small", "edge", "answered"): 1,
    }


BROKEN = head("text/event-stream") + event("breaks", "h") + event("breaks", "i")


async def test_the_tokens_of_a_stream_that_breaks_off_are_counted() -> None:
    counters = Counters()
    async with scripted_side(lambda _: BROKEN) as cloud, gateway(cloud=cloud.url) as client:
        answer = await client.post("/v1/chat/completions", json=chat(model="qa-cloud"))
        assert '"error"' in answer.text
    assert counters.counted("hem_tokens_total") == {("breaks", "cloud", "failed", "output"): 2}


async def test_the_tokens_of_a_stream_that_the_caller_left_are_counted() -> None:
    counters = Counters()
    prices = Prices(currency="USD", models={"breaks": Price(input=1, output=7)})
    async with (
        scripted_side(lambda _: BROKEN, ends=never) as cloud,
        gateway(cloud=cloud.url, prices=prices) as client,
    ):
        async with client.stream("POST", "/v1/chat/completions", json=chat()) as answer:
            seen = b""
            async for part in answer.aiter_bytes():
                seen += part
                if b'"i"' in seen:
                    break
        await counters.settled("cancelled")
    left = ("breaks", "cloud", "cancelled")
    assert counters.counted("hem_attempts_total") == {left: 1}
    assert counters.counted("hem_tokens_total") == {(*left, "output"): 2}
    assert counters.counted("hem_cost_total") == {left: pytest.approx(2 * 7 / 1e6)}


async def test_a_caller_that_leaves_while_the_edge_drafts_cancels_the_draft() -> None:
    counters = Counters()
    async with (
        scripted_side(lambda _: head(), ends=never) as edge,
        gateway(edge=edge.url, algorithm="ConfidenceRouter") as client,
    ):
        call = asyncio.create_task(client.post("/v1/chat/completions", json=chat()))
        await asyncio.wait_for(edge.reached.wait(), 10)
        call.cancel()
        await counters.settled("cancelled")
    assert counters.counted("hem_attempts_total") == {("m", "edge", "cancelled"): 1}


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


async def test_what_the_edge_saved_is_counted_by_the_clouds_price() -> None:
    """From the cloud's first answer on its model has a name, and a price."""

    def answer(model: str, count: Body) -> bytes:
        return streamed(model, "so", "it", "is", usage=count)

    saved = value("hem_saved_cost_total", currency="USD")
    async with (
        scripted_side(lambda _: answer("small", usage(100, 10))) as edge,
        scripted_side(lambda _: answer("large", LARGE)) as cloud,
        gateway(edge=edge.url, cloud=cloud.url, algorithm="EdgeOnly", prices=PRICES) as client,
    ):
        await ask(client)
        assert value("hem_saved_cost_total", currency="USD") == saved
        await ask(client, model="qa-cloud")
        assert value("hem_saved_cost_total", currency="USD") == saved
        await ask(client)
    more = value("hem_saved_cost_total", currency="USD") - saved
    assert more == pytest.approx((100 * 10 + 10 * 20) / 1e6)


async def test_times_of_a_stream_are_counted_by_model_and_route() -> None:
    labels = {"model": "timed", "route": "cloud"}
    parts = [event("timed", "a"), event("timed", "b"), event("timed", None, "stop")]
    last = streamed("timed", usage=usage(1, 3)).partition(b"\r\n\r\n")[2]
    names = ("hem_gateway_seconds", "hem_gateway_first_token_seconds")
    names += ("hem_gateway_inter_token_seconds",)
    async with (
        scripted_side(lambda _: (head(SSE), *parts, last)) as cloud,
        gateway(cloud=cloud.url) as client,
    ):
        await ask(client)
    assert [value(f"{name}_count", **labels) for name in names] == [1, 1, 1]
    whole_, first, between = (value(f"{name}_sum", **labels) for name in names)
    assert 0 < first < whole_ < 10
    assert 0 < between < whole_


async def test_models_names_that_servers_tell_are_bounded() -> None:
    number = 0

    def answer(_: Body) -> bytes:
        nonlocal number
        number += 1
        return whole(f"new-{number}", "x")

    async with scripted_side(answer) as cloud, gateway(cloud=cloud.url) as client:
        for _ in range(60):
            await ask(client, stream=False)
    told = {
        sample.labels["model"]
        for metric in REGISTRY.collect()
        if metric.name in ("hem_attempts", "hem_gateway_seconds", "hem_tokens")
        for sample in metric.samples
    }
    assert len(told) <= 51 and "other" in told
