"""Conversations that the cloud has answered stay there."""

from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY

from tests.transformers_hem.gateway.gateway_under_test import chat, gateway
from tests.transformers_hem.gateway.scripted_side import Body, refused, scripted_side, whole
from transformers_hem.algorithms.base import Batch, Route
from transformers_hem.gateway.sticky import SECONDS, Sticky, StickyBy
from transformers_hem.guards.base import Guard

SESSION = "x-session-id"
SYSTEM = {"role": "system", "content": "Be brief."}
FIRST = {"role": "user", "content": "1 + 1?"}
ANSWER = {"role": "assistant", "content": "2"}
NEXT = {"role": "user", "content": "2 + 2?"}


def conversation(*messages: Mapping[str, Any], **fields: Any) -> Body:
    return {"messages": list(messages), **fields}


# Whether both requests are of one conversation: each is a body and its headers.
PAIRS: dict[str, tuple[StickyBy, tuple[Body, Any], tuple[Body, Any], bool]] = {
    "one user": ("user", ({"user": "a"}, {}), ({"user": "a"}, {}), True),
    "two users": ("user", ({"user": "a"}, {}), ({"user": "b"}, {}), False),
    "one session": ("header", ({}, {SESSION: "1"}), ({}, {SESSION: "1"}), True),
    "two sessions": ("header", ({}, {SESSION: "1"}), ({}, {SESSION: "2"}), False),
    "one session of two callers": (
        "header",
        ({}, {SESSION: "1", "authorization": "Bearer a"}),
        ({}, {SESSION: "1", "authorization": "Bearer b"}),
        False,
    ),
    "a conversation that goes on": (
        "first_turns",
        (conversation(SYSTEM, FIRST), {}),
        (conversation(SYSTEM, FIRST, ANSWER, NEXT), {}),
        True,
    ),
    "another first question": (
        "first_turns",
        (conversation(SYSTEM, FIRST), {}),
        (conversation(SYSTEM, NEXT), {}),
        False,
    ),
    "another system": (
        "first_turns",
        (conversation(SYSTEM, FIRST), {}),
        (conversation(FIRST), {}),
        False,
    ),
    "a session's header before its user": (
        "session",
        ({"user": "a"}, {SESSION: "1"}),
        ({"user": "b"}, {SESSION: "1"}),
        True,
    ),
    "a session's user before its first turns": (
        "session",
        (conversation(FIRST, user="a"), {}),
        (conversation(NEXT, user="a"), {}),
        True,
    ),
    "a session's first turns": (
        "session",
        (conversation(FIRST), {}),
        (conversation(FIRST, ANSWER, NEXT), {}),
        True,
    ),
    "a user who is called as a session": (
        "session",
        ({"user": "1"}, {}),
        ({}, {SESSION: "1"}),
        False,
    ),
}


@pytest.mark.parametrize(("by", "one", "other", "same"), PAIRS.values(), ids=PAIRS)
def test_what_tells_a_conversation(
    by: StickyBy, one: tuple[Body, Any], other: tuple[Body, Any], same: bool
) -> None:
    sticky = Sticky(by, SESSION)
    first, second = sticky.key(*one), sticky.key(*other)
    assert first is not None and second is not None
    assert (first == second) == same


@pytest.mark.parametrize("by", ["off", "user", "header", "first_turns", "session"])
def test_a_request_that_tells_none_is_not_sticky(by: StickyBy) -> None:
    sticky = Sticky(by, SESSION)
    key = sticky.key({"prompt": "1 + 1?", "user": ""}, {SESSION: ""})
    assert key is None
    sticky.remember(key)
    assert not sticky.stays(key)


def test_a_key_tells_nobody_what_it_was_made_of() -> None:
    one, other = (Sticky("first_turns", SESSION).key(conversation(FIRST), {}) for _ in range(2))
    assert one != other


def test_what_is_remembered_is_bounded_in_number_and_time() -> None:
    now = 0.0
    sticky = Sticky("user", SESSION, most=2, timer=lambda: now)
    a, b, c = (sticky.key({"user": name}, {}) for name in "abc")
    for key in (a, b, a, c):
        sticky.remember(key)
    assert [sticky.stays(key) for key in (a, b, c)] == [True, False, True]
    now = SECONDS - 1
    sticky.remember(a)
    now = SECONDS + 1
    assert [sticky.stays(key) for key in (a, c)] == [True, False]


class Site:
    """Sides that answer, and count how often; the cloud as long as it is `well`."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.well = True

    def edge(self, body: Body) -> bytes:
        self.calls.append("edge")
        return whole("small", "hello")

    def cloud(self, body: Body) -> bytes:
        self.calls.append("cloud")
        return whole("large", "hi") if self.well else refused(503)


async def reasons(
    client: httpx.AsyncClient, *asked: tuple[str, dict[str, str]]
) -> list[tuple[str, str]]:
    """Why and by whom each request is answered: the model's name and its headers."""
    seen = []
    for model, headers in asked:
        body = chat(model=model, stream=False)
        answer = await client.post("/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200, answer.text
        seen.append((answer.headers["x-hem-reason"], answer.headers["x-hem-served-by"]))
    return seen


class Private(Guard):
    privacy = True

    def route(self, batch: Batch) -> Route | None:
        return "edge"


class Busy(Guard):
    def route(self, batch: Batch) -> Route | None:
        return "edge"


A, B, NONE = {SESSION: "a"}, {SESSION: "b"}, dict[str, str]()


async def site(stack: AsyncExitStack, served: Site, **options: Any) -> httpx.AsyncClient:
    edge = await stack.enter_async_context(scripted_side(served.edge))
    cloud = await stack.enter_async_context(scripted_side(served.cloud))
    sides = gateway(edge=edge.url, cloud=cloud.url, **options)
    return await stack.enter_async_context(sides)


async def test_only_a_conversation_that_the_cloud_has_answered_stays_there() -> None:
    """EdgeOnly: but for the caller's wish all would be answered by the edge."""
    async with AsyncExitStack() as stack:
        client = await site(stack, Site(), algorithm="EdgeOnly", sticky="header")
        labels = {"route": "cloud", "reason": "sticky", "algorithm": "EdgeOnly"}
        before = REGISTRY.get_sample_value("hem_decisions_total", labels) or 0.0
        seen = await reasons(
            client, ("qa", A), ("qa-cloud", A), ("qa", A), ("qa", B), ("qa", NONE), ("qa-edge", A)
        )
        assert REGISTRY.get_sample_value("hem_decisions_total", labels) == before + 1
    assert seen == [
        ("algorithm", "small"),
        ("prefer", "large"),
        ("sticky", "large"),
        ("algorithm", "small"),
        ("algorithm", "small"),
        ("prefer", "small"),
    ]


async def test_it_is_off_where_nobody_turned_it_on() -> None:
    async with AsyncExitStack() as stack:
        client = await site(stack, Site(), algorithm="EdgeOnly")
        seen = await reasons(client, ("qa-cloud", A), ("qa", A))
    assert seen[1] == ("algorithm", "small")


async def test_the_edge_is_not_asked_for_a_draft_first() -> None:
    served = Site()
    async with AsyncExitStack() as stack:
        client = await site(stack, served, algorithm="ConfidenceRouter", sticky="header")
        seen = await reasons(client, ("qa", A), ("qa", A))
    assert [reason for reason, _ in seen] == ["no_signal", "sticky"]
    assert served.calls == ["edge", "cloud", "cloud"]


async def test_where_the_cloud_fails_the_edge_answers_and_nothing_new_is_remembered() -> None:
    served = Site()
    async with AsyncExitStack() as stack:
        client = await site(stack, served, algorithm="CloudOnly", sticky="header")
        await reasons(client, ("qa", A))
        served.well = False
        seen = await reasons(client, ("qa", A), ("qa", B), ("qa", B))
    assert seen == [("sticky", "small"), ("algorithm", "small"), ("algorithm", "small")]


@pytest.mark.parametrize("guard", [Private, Busy])
async def test_guards_win(guard: type[Guard]) -> None:
    class Once(guard):  # type: ignore[misc, valid-type]
        asleep = True

        def route(self, batch: Batch) -> Route | None:
            return None if self.asleep else super().route(batch)

    async with AsyncExitStack() as stack:
        rule = Once(Guard.Parameters())
        client = await site(
            stack, Site(), algorithm="CloudOnly", sticky="header", guards={"Rule": rule}
        )
        await reasons(client, ("qa", A))
        rule.asleep = False
        assert await reasons(client, ("qa", A)) == [("Rule", "small")]
