"""What the page is told: counters, the last requests, and what other thresholds would give."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from predictors.prices import Price, Prices
from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
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

STATE = "/ui/state.json"
SECRET = "my card is 4111 1111 1111 1111"
PRICES = Prices(
    currency="EUR", models={"small": Price(input=1, output=2), "large": Price(input=10, output=20)}
)


async def state(client: httpx.AsyncClient, after: int = 0) -> dict[str, Any]:
    answer = await client.get(STATE, params={"after": after})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def ask(client: httpx.AsyncClient, **fields: Any) -> int:
    return (await client.post("/v1/chat/completions", json=chat(**fields))).status_code


async def test_a_finished_chat_is_told_without_its_texts() -> None:
    async with (
        scripted_side(lambda _: streamed("large", "a", "b", usage=usage(7, 2))) as cloud,
        gateway(cloud=cloud.url, page=True) as client,
    ):
        before = await state(client)
        assert before["recent"] == [] and before["models"] == ["qa", "qa-edge", "qa-cloud"]
        assert await ask(client, text=SECRET, user="anna@example.com") == 200
        told = await state(client)
        (row,) = told["recent"]
        assert (row["route"], row["by"], row["model"]) == ("cloud", "cloud", "large")
        assert (row["reason"], row["algorithm"], row["status"]) == ("algorithm", "CloudOnly", 200)
        assert row["tokens"] == [7, 2]
        assert 0 < row["first"] <= row["seconds"] < 30
        assert told["times"]["cloud"]["chats"] == 1 and "edge" not in told["times"]
        text = json.dumps(told)
        assert "4111 1111" not in text and "anna" not in text and "hello" not in text


async def test_only_what_is_new_is_told_again() -> None:
    async with (
        scripted_side(lambda _: whole("large", "hi")) as cloud,
        gateway(cloud=cloud.url, page=True) as client,
    ):
        for _ in range(3):
            await ask(client, stream=False)
        first = await state(client)
        assert [row["n"] for row in first["recent"]] == [3, 2, 1] and first["last"] == 3
        assert (await state(client, after=3))["recent"] == []
        await ask(client, stream=False)
        assert [row["n"] for row in (await state(client, after=3))["recent"]] == [4]


async def test_what_failed_is_told_with_its_status() -> None:
    async with (
        scripted_side(lambda _: refused(500)) as cloud,
        gateway(cloud=cloud.url, page=True) as client,
    ):
        assert await ask(client, model="qa-cloud", stream=False) == 502
        told = await state(client)
        (row,) = told["recent"]
        assert (row["status"], row["by"], row["reason"]) == (502, None, "prefer")
        assert told["failed"] == 1 and told["times"] == {}


async def test_a_caller_who_leaves_is_told() -> None:
    async with (
        scripted_side(lambda _: head(SSE) + event("large", "a"), ends=never) as cloud,
        gateway(cloud=cloud.url, page=True) as client,
    ):
        async with client.stream("POST", "/v1/chat/completions", json=chat()) as answer:
            async for _ in answer.aiter_bytes():
                break
        await cloud.gone.wait()
        while not (rows := (await state(client))["recent"]):
            pass
        assert rows[0]["status"] == 499


async def test_what_the_edge_has_saved_is_counted_by_the_price_of_the_cloud() -> None:
    def edge(_: Body) -> bytes:
        return whole("small", "hi", usage=usage(100, 10))

    def cloud(_: Body) -> bytes:
        return whole("large", "hi", usage=usage(100, 10))

    async with (
        scripted_side(edge) as near,
        scripted_side(cloud) as far,
        gateway(edge=near.url, cloud=far.url, page=True, prices=PRICES) as client,
    ):
        assert (await state(client))["prices"] == {"currency": "EUR", "cloud": None}
        for side in ("cloud", "edge", "edge"):
            await ask(client, model=f"qa-{side}", stream=False)
        told = await state(client)
        assert told["prices"]["cloud"] == {
            "model": "large",
            "input": 10,
            "output": 20,
            "cached_input": None,
        }
        assert told["times"]["edge"]["cost"] == pytest.approx(120e-6)
        assert told["saved"] == pytest.approx(2 * (1200e-6 - 120e-6))


async def test_who_may_not_call_is_told_nothing(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("sk-good")
    async with gateway(keys=keys, page=True) as client:
        for path in (STATE, "/ui/threshold.json"):
            for headers in ({}, {"authorization": "Bearer sk-bad"}):
                answer = await client.get(path, headers=headers)
                assert answer.status_code == 401 and set(answer.json()) == {"error"}
            good = await client.get(path, headers={"authorization": "Bearer sk-good"})
            assert good.status_code == 200
        assert (await client.get("/ui/")).status_code == 200  # it asks for the key


@pytest.mark.parametrize("after", ["-1", "x", "1.5", "", "9" * 30])
async def test_a_bad_number_is_named(after: str) -> None:
    async with gateway(page=True) as client:
        answer = await client.get(STATE, params={"after": after})
        assert answer.status_code == 400
        assert "after must be the number of a request" in answer.json()["error"]["message"]


async def test_a_router_that_ships_has_a_curve_and_no_promise() -> None:
    async with gateway(algorithm="LinearRouter", page=True) as client:
        told = (await client.get("/ui/threshold.json")).json()
        curve = told["curve"]
        assert curve["of"] == "training" and curve["rows"] == 9000
        assert curve["edge_share"] == sorted(curve["edge_share"])
        assert curve["quality"][0] > curve["quality"][-1]
        assert told["run"] == (
            "hem calibrate --router embedded:linear --data LABELS.jsonl --edge-ratio 0.6 "
            "--out my-router"
        )


async def test_without_a_curve_it_says_what_to_run() -> None:
    async with gateway(algorithm="ConfidenceRouter", page=True) as client:
        told = (await client.get("/ui/threshold.json")).json()
        assert told["curve"] is None
        assert told["run"].startswith("hem calibrate --algorithm ConfidenceRouter --data")


async def test_an_algorithm_that_has_no_threshold_has_nothing_to_run() -> None:
    async with gateway(page=True) as client:
        told = (await client.get("/ui/threshold.json")).json()
        assert told["fixed"] == "cloud" and told["run"] is None


async def test_a_strategy_that_gets_all_has_nothing_to_run() -> None:
    async with gateway(algorithm=None, strategy="speculative", page=True) as client:
        told = (await client.get("/ui/threshold.json")).json()
        assert told["strategy"] == "speculative" and told["run"] is None


async def test_what_is_promised_and_learned_is_told_with_the_counters() -> None:
    async with gateway(page=True) as client:
        told = (await state(client))["learning"]
        assert told["promise"] is None and told["feedback"] is None and told["fixed"] == "cloud"


async def test_it_is_off_unless_it_is_asked_for() -> None:
    async with gateway() as client:
        for path in ("/ui", "/ui/", STATE):
            assert (await client.get(path)).status_code == 404
