"""Our gateway beside other servers of its kind: the same load, in turns of one run.

`make litellm` and `make routellm` install the others; who is absent is left out. On two
cores upstream, callers and the server that is measured share, so that what counts are ratios, and
the CPU time that a request costs the server, which neighbours hardly change.
"""

import asyncio
import json
import math
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import aiohttp
import pytest

from tests.benchmarks.peers import Peer, installed, upstream

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(1800)]

ROUNDS: Final = 9
SECONDS: Final = 2.0  # of a turn
CALLERS: Final = (1, 16, 64)
TOKENS: Final = 5
OURS: Final = "our gateway, LinearRouter"
OTHERS: Final = ("LiteLLM", "RouteLLM, random")
LEAST: Final = 2.0  # times the CPU time that a request costs ours, of each other


@dataclass
class Turn:
    """What one server did while it was its turn."""

    latencies: list[float] = field(default_factory=list)
    failures: int = 0
    cpu: float = 0.0
    seconds: float = SECONDS

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    @property
    def cost(self) -> float:
        """Its CPU seconds for an answer."""
        return self.cpu / max(1, len(self.latencies))

    def quantile(self, share: float) -> float:
        ordered = sorted(self.latencies) or [math.inf]
        return ordered[int(share * len(ordered))]


@pytest.fixture(scope="module")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Peer]]:
    folder = tmp_path_factory.mktemp("peers")
    with ExitStack() as stack:
        itself = stack.enter_context(upstream(folder))
        yield [
            itself,
            *(stack.enter_context(start(itself.url, folder)) for start in installed().values()),
        ]


async def _ask(session: aiohttp.ClientSession, peer: Peer, number: int, stream: bool) -> bool:
    """Whether a whole answer came."""
    question = {"role": "user", "content": f"What is {number % 900} + {number % 77}?"}
    body = {"model": peer.model, "messages": [question], "stream": stream, "max_tokens": TOKENS}
    async with session.post(f"{peer.url}/chat/completions", json=body) as answer:
        text = await answer.read()
    whole = b"data: [DONE]" if stream else b'"finish_reason"'
    return answer.status == 200 and whole in text


async def _turn(peer: Peer, callers: int, stream: bool) -> Turn:
    turn, used = Turn(), peer.cpu_seconds()
    start = time.perf_counter()
    end = start + SECONDS

    async def caller(session: aiohttp.ClientSession, number: int) -> None:
        while (began := time.perf_counter()) < end:
            number += callers
            if await _ask(session, peer, number, stream):
                turn.latencies.append(time.perf_counter() - began)
            else:
                turn.failures += 1

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(caller(session, number) for number in range(callers)))
    assert turn.latencies, f"{peer.name} answered nothing"
    turn.seconds = time.perf_counter() - start  # the last ones took longer
    turn.cpu = peer.cpu_seconds() - used
    return turn


def _report(turns: dict[str, list[Turn]]) -> dict[str, dict[str, Any]]:
    """Medians over the rounds. `times` and `costs` have median, least and most of each round's
    ratio: our requests a second to its own, and the CPU time that a request costs it to ours."""
    return {
        name: {
            "a_second": round(median(turn.rate for turn in mine), 1),
            "p50_ms": round(1000 * median(turn.quantile(0.5) for turn in mine), 2),
            "p99_ms": round(1000 * median(turn.quantile(0.99) for turn in mine), 1),
            "cpu_ms": round(1000 * median(turn.cost for turn in mine), 2),
            "failures": sum(turn.failures for turn in mine),
            "times": _spread([o.rate / t.rate for o, t in zip(turns[OURS], mine, strict=True)]),
            "costs": _spread([t.cost / o.cost for o, t in zip(turns[OURS], mine, strict=True)]),
        }
        for name, mine in turns.items()
    }


def _spread(ratios: list[float]) -> list[float]:
    return [round(each, 2) for each in (median(ratios), min(ratios), max(ratios))]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streams"])
@pytest.mark.parametrize("callers", CALLERS)
def test_the_same_load_through_each(peers: list[Peer], callers: int, stream: bool) -> None:
    others = [peer.name for peer in peers if peer.name in OTHERS]
    if not others:
        pytest.skip("no peer: run `make litellm` or `make routellm`")
    for peer in peers:
        asyncio.run(_turn(peer, callers, stream))  # warms it up
    turns: dict[str, list[Turn]] = {peer.name: [] for peer in peers}
    for number in range(ROUNDS):
        for place in range(len(peers)):  # nobody is always behind the same one
            peer = peers[(number + place) % len(peers)]
            turns[peer.name].append(asyncio.run(_turn(peer, callers, stream)))
    report = _report(turns)
    print("\n" + json.dumps({"benchmark": "peers", "callers": callers, "stream": stream, **report}))
    assert not report[OURS]["failures"]
    for name in others:
        assert report[name]["costs"][0] > LEAST, name
