"""Each service of the shipped graph under its manifest's memory limit, while callers and the far
side send it all that they may, and more, for HEM_SOAK_SECONDS."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import pytest
from rich.console import Console
from rich.table import Table

from predictors.contract import HEM_PREFER, text_request
from predictors.embedded.workshop.questions import test_questions as shipped_questions
from predictors.upstream.client import build_client
from tests.soak.bad_callers import HUGE_CHARACTERS
from tests.soak.good_load import GoodLoad, ask_alone
from tests.soak.memory_limits import MemoryLimit, container_limit, memory_limit, why_no_cgroup
from tests.soak.network import Network
from tests.soak.play import SECONDS
from tests.soak.services import PARTS, Stack, running_stack

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 600)]

MIB: Final = 1 << 20
RATE: Final = 5.0
AT_ONCE: Final = 8
ROUND_SECONDS: Final = 10.0
QUIET_SECONDS: Final = 10.0
MARKER: Final = "SENDS MUCH"
# What a service may have kept when all is quiet again, of its limit.
KEPT_SHARE: Final = 0.25


class Limits(dict[str, MemoryLimit]):
    """By InferenceService, from its manifest."""

    def __init__(self, stack: ExitStack) -> None:
        super().__init__()
        self._stack = stack

    def confine(self, document: dict[str, Any]) -> None:
        """Starts the service's container inside a cgroup of its own."""
        name = document["metadata"]["name"]
        (container,) = document["spec"]["predictor"]["containers"]
        if name not in PARTS.values():
            return
        limit = self._stack.enter_context(memory_limit(name, container_limit(container)))
        self[name] = limit
        module = "transformers_hem" if "transformer" in container["image"] else "predictors"
        if limit.folder is not None:
            wrapper = ["python", "-m", "tests.soak.memory_limits", str(limit.folder), module]
            container["command"] = wrapper


@pytest.fixture
def limits() -> Iterator[Limits]:
    with ExitStack() as stack:
        yield Limits(stack)


async def test_each_service_survives_within_its_limit(tmp_path: Path, limits: Limits) -> None:
    with running_stack(Network("not wanted"), tmp_path, change=limits.confine) as stack:
        pids = {name: stack.parts[part].pid for part, name in PARTS.items()}
        before = {name: _resident(pid) for name, pid in pids.items()}
        load = await _stressed(stack, limits, pids)
        await asyncio.sleep(QUIET_SECONDS)
        after = {name: _resident(pid) for name, pid in pids.items()}
        deaths = list(stack.log.deaths)
    _show(limits, before, after)
    failed = [o for o in load.outcomes if o.kind != "right"]
    seconds = sorted(o.seconds for o in load.outcomes)
    print(f"{len(load.outcomes)} good, {len(failed)} not answered, slowest {seconds[-1]:.1f} s")

    assert deaths == []
    assert [name for name, limit in limits.items() if not limit.holds] == []
    assert [o.said for o in failed] == []
    for name, limit in limits.items():
        assert after[name] - before[name] < KEPT_SHARE * limit.limit, name


async def _stressed(
    stack: Stack, limits: Mapping[str, MemoryLimit], pids: Mapping[str, int]
) -> GoodLoad:
    urls = {stack.parts[part].name: stack.parts[part].infer_url for part in ("edge", "cloud")}
    queries = [question.query for question in shipped_questions()[:60]]
    async with build_client(60) as client, httpx.AsyncClient(timeout=60) as rough:
        load = GoodLoad(client, stack.url, await ask_alone(client, urls, queries), 1)
        tasks = [asyncio.create_task(load.run(RATE)), asyncio.create_task(_watch(limits, pids))]
        until = time.monotonic() + SECONDS
        for attack in itertools.cycle((_huge_queries, _large_answers, _oversized_answers)):
            if time.monotonic() > until:
                break
            began = time.monotonic()
            await attack(stack, rough)
            await asyncio.sleep(max(0.0, ROUND_SECONDS - (time.monotonic() - began)))
        stack.back_to_normal("cloud")
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await load.finish()
    return load


async def _huge_queries(stack: Stack, client: httpx.AsyncClient) -> None:
    """To HEM itself, through the graph, and to both models."""
    body = text_request(["7 + " * (HUGE_CHARACTERS // 4)])
    urls = [stack.url, *(stack.parts[part].infer_url for part in ("hem", "hem", "edge", "uplink"))]
    await asyncio.gather(*(_post(client, url, body) for url in urls))


async def _large_answers(stack: Stack, client: httpx.AsyncClient) -> None:
    await _many_answers(stack, client, "large body")


async def _oversized_answers(stack: Stack, client: httpx.AsyncClient) -> None:
    await _many_answers(stack, client, "oversized body")


async def _many_answers(stack: Stack, client: httpx.AsyncClient, fault: str) -> None:
    """AT_ONCE of them to the uplink itself, and one through the graph."""
    stack.proxies["cloud"].play(fault, MARKER.encode())
    body = text_request([MARKER], {HEM_PREFER: "cloud"})
    urls = [stack.url, *[stack.parts["uplink"].infer_url] * AT_ONCE]
    await asyncio.gather(*(_post(client, url, body) for url in urls))
    stack.proxies["cloud"].heal()


async def _post(client: httpx.AsyncClient, url: str, body: Any) -> None:
    """Whatever it answers."""
    with contextlib.suppress(httpx.HTTPError):
        await client.post(url, json=body)


async def _watch(limits: Mapping[str, MemoryLimit], pids: Mapping[str, int]) -> None:
    while True:
        for name, limit in limits.items():
            limit.look(pids[name])
        await asyncio.sleep(1)


def _resident(pid: int) -> int:
    with contextlib.suppress(psutil.NoSuchProcess):
        return int(psutil.Process(pid).memory_info().rss)
    return 0


def _show(
    limits: Mapping[str, MemoryLimit], before: Mapping[str, int], after: Mapping[str, int]
) -> None:
    table = Table(title=f"Memory in MiB ({why_no_cgroup() or 'a cgroup each'})")
    for name in ("service", "limit", "before", "peak", "after", "kills"):
        table.add_column(name, justify="left" if name == "service" else "right")
    for name, limit in limits.items():
        sizes = (limit.limit, before[name], limit.seen, after[name])
        table.add_row(name, *(str(size // MIB) for size in sizes), str(limit.kills()))
    Console(width=100).print(table)
