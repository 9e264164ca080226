"""Guards that count: in the gateway each attempt at the cloud is counted once, and put right by
what its answer says that it used."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from tests.predictors.upstream.ledger.reading import lines
from tests.transformers_hem.gateway.gateway_under_test import NOBODY, chat, gateway
from tests.transformers_hem.gateway.scripted_side import (
    refused,
    scripted_side,
    streamed,
    usage,
    whole,
)
from tests.transformers_hem.gateway.test_failover import EDGE, PATH, answers, begun, text_of
from tests.transformers_hem.guards.budget.budgets import budget
from tests.waiting import until
from transformers_hem.guards.admission import usage_of_chat
from transformers_hem.guards.budget.guard import BudgetGuard

CLOUD = streamed("big", "the ", "cloud", usage=usage(30, 20))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "budget.db"


def told(reply: httpx.Response) -> tuple[str, str]:
    return reply.headers["x-hem-route"], reply.headers["x-hem-reason"]


def guarded(guard: BudgetGuard, **options: Any) -> Any:
    return gateway(guards={"BudgetGuard": guard}, **options)


async def test_once_the_budget_is_used_up_the_edge_answers(path: Path) -> None:
    guard = budget(path, tokens=1000)
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(CLOUD)) as cloud,
        guarded(guard, edge=edge.url, cloud=cloud.url) as client,
    ):
        first = await client.post(PATH, json=chat(max_tokens=100))
        assert (text_of(first), told(first)) == ("the cloud", ("cloud", "algorithm"))
        assert guard.left() == {"tokens": 950}
        too_long = await client.post(PATH, json=chat(max_tokens=2000))
        assert (text_of(too_long), told(too_long)) == ("the edge", ("edge", "BudgetGuard"))
        assert guard.left() == {"tokens": 950}
        replies = [await client.post(PATH, json=chat(max_tokens=100)) for _ in range(30)]
    kept = [reply for reply in replies if told(reply) == ("edge", "BudgetGuard")]
    assert len(cloud.asked) == 31 - len(kept)
    assert 50 * len(cloud.asked) <= 1000
    assert all(text_of(reply) == "the edge" for reply in kept) and len(kept) > 10
    assert "degraded" not in kept[0].text and "x-hem-degraded" not in kept[0].headers


def decisions(route: str, reason: str) -> float:
    labels = {"route": route, "reason": reason, "algorithm": "CloudOnly"}
    return REGISTRY.get_sample_value("hem_decisions_total", labels) or 0.0


async def test_a_decision_counts_as_what_has_become_of_it(path: Path) -> None:
    kinds = [("cloud", "algorithm"), ("edge", "BudgetGuard")]
    before = [decisions(*kind) for kind in kinds]
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(CLOUD)) as cloud,
        guarded(budget(path, tokens=1000), edge=edge.url, cloud=cloud.url) as client,
    ):
        for most, counted in ((100, [1, 0]), (2000, [1, 1])):
            reply = await client.post(PATH, json=chat(max_tokens=most))
            assert reply.status_code == 200
            expected = [was + more for was, more in zip(before, counted, strict=True)]
            await until(lambda now=expected: [decisions(*kind) for kind in kinds] == now)


async def test_the_caller_who_forces_the_cloud_is_refused_where_the_budget_is_hard(
    path: Path,
) -> None:
    guard = budget(path, requests=1, hard=True)
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(CLOUD)) as cloud,
        guarded(guard, edge=edge.url, cloud=cloud.url) as client,
    ):
        forced = chat(model="qa-cloud")
        assert text_of(await client.post(PATH, json=forced)) == "the cloud"
        second = await client.post(PATH, json=forced)
    assert second.status_code == 429
    assert "the budget of 1 requests" in second.json()["error"]["message"]
    assert len(cloud.asked) == 1


@pytest.mark.parametrize(
    ("cloud_says", "stands"),
    [
        (refused(503), False),  # nobody bills it
        (refused(429), False),
        (begun("one ", "two "), True),  # it broke off: nobody knows what it used
        (refused(504), True),  # of an uplink, whose cloud may have answered
    ],
)
async def test_the_estimate_of_an_attempt_that_fails_stands_where_it_may_be_billed(
    cloud_says: bytes, stands: bool, path: Path
) -> None:
    guard = budget(path, tokens=1000)
    body = chat(max_tokens=90)
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(cloud_says)) as cloud,
        guarded(guard, edge=edge.url, cloud=cloud.url) as client,
    ):
        await client.post(PATH, json=body)
    estimate = usage_of_chat(body)
    spent = estimate.prompt_tokens + estimate.completion_tokens if stands else 0
    assert guard.left() == {"tokens": 1000 - spent}


async def test_a_cloud_that_can_not_be_reached_costs_nothing(path: Path) -> None:
    guard = budget(path, tokens=1000)
    async with (
        scripted_side(answers(EDGE)) as edge,
        guarded(guard, edge=edge.url, cloud=NOBODY) as client,
    ):
        assert text_of(await client.post(PATH, json=chat())) == "the edge"
    assert guard.left() == {"tokens": 1000}


async def test_an_edge_that_fails_has_nobody_behind_it_once_the_budget_is_used_up(
    path: Path,
) -> None:
    guard = budget(path, requests=1)
    async with (
        scripted_side(answers(refused(500, "broken"))) as edge,
        scripted_side(answers(CLOUD)) as cloud,
        guarded(guard, edge=edge.url, cloud=cloud.url, algorithm="EdgeOnly") as client,
    ):
        assert text_of(await client.post(PATH, json=chat())) == "the cloud"
        reply = await client.post(PATH, json=chat())
    assert reply.status_code == 502 and "broken" in reply.text
    assert told(reply) == ("edge", "BudgetGuard")
    assert len(cloud.asked) == 1


async def test_a_draft_is_the_answer_where_the_budget_has_no_room_for_the_cloud(
    path: Path,
) -> None:
    guard = budget(path, tokens=100)
    async with (
        scripted_side(answers(whole("small", "hello"))) as edge,
        scripted_side(answers(CLOUD)) as cloud,
        guarded(guard, edge=edge.url, cloud=cloud.url, algorithm="ConfidenceRouter") as client,
    ):
        reply = await client.post(PATH, json=chat(max_tokens=200, stream=False))
    assert told(reply) == ("edge", "BudgetGuard")
    assert reply.json()["choices"][0]["message"]["content"] == "hello"
    assert cloud.asked == [] and len(edge.asked) == 1


async def test_the_ledger_has_the_verdicts_of_guards(path: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "egress.jsonl"
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(CLOUD)) as cloud,
        guarded(budget(path, requests=5), edge=edge.url, cloud=cloud.url, ledger=ledger) as client,
    ):
        await client.post(PATH, json=chat())
        assert len(cloud.asked) == 1
    (sent,) = (row for row in lines(ledger, "intent") if row["method"] == "POST")
    assert sent["decision"]["guards"] == "BudgetGuard@1=clear"


async def test_who_goes_on_behind_the_edge_is_counted_too(path: Path) -> None:
    guard = budget(path, requests=1)
    async with (
        scripted_side(answers(begun("one ", "two ", model="small"))) as edge,
        scripted_side(answers(streamed("big", "three ", "four", usage=usage(9, 2)))) as cloud,
        guarded(guard, edge=edge.url, cloud=cloud.url, algorithm="EdgeOnly") as client,
    ):
        headers = {"x-hem-on-break": "continue"}
        replies = [await client.post(PATH, json=chat(), headers=headers) for _ in range(3)]
    assert text_of(replies[0]) == "one two three four"
    assert [len(cloud.asked), guard.left()] == [1, {"requests": 0}]
    for reply in replies[1:]:
        assert told(reply) == ("edge", "BudgetGuard")
        assert '"error"' in reply.text and "[DONE]" not in reply.text


async def test_a_client_is_told_by_its_key(path: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("anna\nbert\n")
    guard = budget(path, requests=1, per="client")
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(CLOUD)) as cloud,
        guarded(guard, edge=edge.url, cloud=cloud.url, keys=keys) as client,
    ):
        for scheme, key in (("Bearer", "anna"), ("bearer", "anna"), ("Bearer", "bert")):
            headers = {"authorization": f"{scheme} {key}"}
            await client.post(PATH, json=chat(), headers=headers)
    assert len(cloud.asked) == 2
