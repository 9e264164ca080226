"""While the cloud is down nobody waits for it first; once it is back it is asked again."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from predictors.errors import ConfigurationError, UpstreamError
from predictors.upstream.http import HTTPUpstream
from predictors.upstream.settings import Limits
from tests.loopback import Handler, LoopbackServer
from tests.transformers_hem.gateway.gateway_under_test import NOBODY, chat, gateway
from tests.transformers_hem.gateway.scripted_side import refused, scripted_side
from tests.transformers_hem.gateway.test_failover import EDGE, PATH, answers, text_of
from tests.transformers_hem.guards.counting import goes_by
from tests.waiting import eventually
from transformers_hem.algorithms.base import Batch
from transformers_hem.guards.availability import (
    AvailabilityGuard,
    AvailabilityParameters,
    believed,
)
from transformers_hem.guards.settings import load_guard

BATCH = Batch(1, ("x",))
CLOSED, HALF_OPEN, OPEN = 0, 1, 2


def metrics(breaker: int, up: int | None = None) -> str:
    lines = ["# HELP hem_upstream_breaker 0 closed.", "# TYPE hem_upstream_breaker gauge"]
    lines.append(f'hem_upstream_breaker{{upstream="https://cloud"}} {breaker}.0')
    if up is not None:
        lines.append(f'hem_upstream_up{{upstream="https://cloud"}} {up}.0')
    return "\n".join([*lines, 'other{upstream="x"} 2.0', ""])


@pytest.mark.parametrize(
    ("text", "belief"),
    [
        ("", "up"),
        (metrics(CLOSED), "up"),
        (metrics(CLOSED, 1), "up"),
        (metrics(OPEN, 0), "down"),
        (metrics(HALF_OPEN, 0), "failing"),
        (metrics(CLOSED, 0), "failing"),
    ],
)
def test_what_an_uplink_says_of_its_cloud(text: str, belief: str) -> None:
    assert believed(text) == belief


class Uplink(LoopbackServer):
    """`says` are its metrics; None: it has none."""

    def __init__(self) -> None:
        super().__init__(_Metrics)
        self.says: str | None = metrics(CLOSED, 1)
        self.asked = 0


class _Metrics(Handler):
    server: Uplink
    protocol_version = "HTTP/1.0"  # no connection outlives it

    def do_GET(self) -> None:
        self.server.asked += 1
        says = self.server.says
        self.say(404 if says is None else 200, (says or "").encode(), "text/plain")


@pytest.fixture
def uplink() -> Iterator[Uplink]:
    with Uplink() as far:
        yield far


def watching(url: str, **parameters: float) -> AvailabilityGuard:
    return AvailabilityGuard(AvailabilityParameters(url=url, seconds=0.1, **parameters))


def turns(guard: AvailabilityGuard, route: str | None) -> None:
    eventually(lambda: guard.route(BATCH) == route)


def test_while_the_uplinks_breaker_is_open_requests_stay_at_the_edge(uplink: Uplink) -> None:
    guard = watching(uplink.origin)
    assert guard.route(BATCH) is None
    uplink.says = metrics(OPEN, 0)
    turns(guard, "edge")
    uplink.says = metrics(CLOSED, 1)
    turns(guard, None)
    guard.close()


def test_an_uplink_that_is_gone_is_as_a_cloud_that_is_down(uplink: Uplink) -> None:
    guard = watching(uplink.origin)
    assert guard.route(BATCH) is None
    uplink.stop()
    turns(guard, "edge")
    guard.close()


async def test_while_all_calls_fail_one_goes_there_now_and_then(uplink: Uplink) -> None:
    guard = watching(uplink.origin, retry_seconds=0.3)
    uplink.says = metrics(OPEN, 0)
    await asyncio.to_thread(turns, guard, "edge")
    uplink.says = metrics(HALF_OPEN, 0)
    await asyncio.to_thread(turns, guard, None)  # it is the first that goes there
    assert guard.route(BATCH) is None
    assert await goes_by(guard)
    assert guard.route(BATCH) == "edge"
    await asyncio.to_thread(turns, guard, None)
    guard.close()


def test_what_the_gateway_calls_with_a_ledger_is_not_asked(uplink: Uplink) -> None:
    """It is at the other end of the link, and the ledger would not have that call."""
    settings = {"cloud_url": uplink.origin, "ledger": "/var/lib/hem/egress.jsonl"}
    guard = load_guard("AvailabilityGuard", {"seconds": "0.1"}, settings)
    time.sleep(0.3)
    assert uplink.asked == 0
    guard.close()


def test_a_server_without_metrics_is_believed_to_be_up(uplink: Uplink) -> None:
    uplink.says = None
    guard = watching(uplink.origin)
    time.sleep(0.3)
    assert guard.route(BATCH) is None
    guard.close()


async def test_the_breakers_of_this_process_know_of_an_api() -> None:
    guard = watching(f"{NOBODY}/v1")
    upstream = HTTPUpstream(f"{NOBODY}/v1", Limits(retries=0, breaker_failures=1))
    assert guard.route(BATCH) is None
    with pytest.raises(UpstreamError):
        await upstream.post("/x", {}, dict)
    assert guard.route(BATCH) == "edge"
    await upstream.close()
    guard.close()


async def test_in_the_gateway_it_is_the_reason_while_the_breaker_is_open() -> None:
    async with (
        scripted_side(answers(EDGE)) as edge,
        scripted_side(answers(refused(500))) as cloud,
    ):
        guard = watching(f"{cloud.url}/v1")
        limits = {"breaker_failures": 2, "breaker_seconds": 60.0}
        async with gateway(
            edge=edge.url, cloud=cloud.url, limits=limits, guards={"AvailabilityGuard": guard}
        ) as client:
            replies = [await client.post(PATH, json=chat()) for _ in range(5)]
        guard.close()
    assert [text_of(reply) for reply in replies] == ["the edge"] * 5
    reasons = [reply.headers["x-hem-reason"] for reply in replies]
    assert reasons == ["algorithm"] * 2 + ["AvailabilityGuard"] * 3
    assert len(cloud.asked) == 2


@pytest.mark.parametrize(
    ("values", "settings", "fault"),
    [
        ({}, {}, "needs url, the uplink's, or HEM_CLOUD_URL"),
        ({"url": "qa-uplink"}, {}, "AvailabilityGuard: url must be http://host"),
        ({"seconds": "0"}, {"cloud_url": "http://x"}, "greater than or equal to 0.1"),
    ],
)
def test_one_that_can_not_be_is_refused(
    values: dict[str, str], settings: dict[str, str], fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        load_guard("AvailabilityGuard", values, settings)
