"""The shipped graph under 50 good requests a second, while each fault happens to each of its parts.

`make soak` runs it; HEM_SOAK_SECONDS scales it. `-k "cloud and frozen"` plays one row. A row that
may not stand fails its test, and the table at the end shows them all.
"""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict

import httpx
import pytest
from rich.console import Console

from predictors.embedded.workshop.questions import test_questions as shipped_questions
from predictors.upstream.client import build_client
from tests.soak.bad_callers import KINDS, SLOW, BadCallers
from tests.soak.caller_process import CallerProcess
from tests.soak.good_load import ask_alone
from tests.soak.happenings import HAPPENINGS, ON_ALL
from tests.soak.network import network
from tests.soak.play import SECONDS, Stage, play_callers, play_fault, play_nothing
from tests.soak.services import running_stack
from tests.soak.table import Row, show
from tests.soak.watched_processes import WatchedProcesses

pytestmark = [pytest.mark.soak, pytest.mark.timeout(SECONDS + 600)]

QUERIES = 120
EACH = 50  # of slow callers, at the graph and its four services
NEAR_PARTS = ("edge", "uplink", "hem")
LASTING = ("edge", "uplink", "hem")  # while the cloud comes and goes
# What a process may grow by after the warm-up: torch settles slowly.
LARGEST_GROWTH_MIB = 24.0
# Between two services there are as many connections as calls under way at once, either way.
LARGEST_DESCRIPTORS_MORE = 400
WARM_UP = SECONDS / 4


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("soak")
    with network() as wire, running_stack(wire, folder) as stack:
        urls = {stack.parts[part].name: stack.parts[part].infer_url for part in ("edge", "cloud")}
        queries = [question.query for question in shipped_questions()[:QUERIES]]

        async def alone() -> dict[tuple[str, str], str]:
            async with build_client(60) as client:
                return dict(await ask_alone(client, urls, queries))

        pids = {part: stack.parts[part].pid for part in LASTING}
        watched = WatchedProcesses({"hem up": stack.hem.process.pid, **pids})
        addresses = [part.address for part in stack.parts.values()]
        with CallerProcess(stack.url, addresses) as callers:
            stage = Stage(stack, asyncio.run(alone()), watched, callers)
            yield stage
        show(stage.rows, Console(width=180))


def holds(row: Row) -> None:
    if row.skipped:
        pytest.skip(row.skipped)
    assert row.complaints() == []


async def test_nothing_happens(stage: Stage) -> None:
    holds(await play_nothing(stage))


@pytest.mark.parametrize("fault", HAPPENINGS)
async def test_the_cloud(stage: Stage, fault: str) -> None:
    holds(await play_fault(stage, "cloud", fault))


async def test_nothing_is_left_behind(stage: Stage) -> None:
    for name in ("hem up", *LASTING):
        grown = stage.watched.growth(name, WARM_UP)
        print(name, asdict(grown))
        assert grown.grown_mib < LARGEST_GROWTH_MIB, name
        assert grown.most_descriptors <= grown.descriptors + LARGEST_DESCRIPTORS_MORE, name


@pytest.mark.parametrize("kind", KINDS)
async def test_a_caller(stage: Stage, kind: str) -> None:
    holds(await play_callers(stage, kind))


async def test_slow_callers_are_hung_up_on(stage: Stage) -> None:
    async with httpx.AsyncClient() as client:
        addresses = [part.address for part in stage.stack.parts.values()]
        callers = BadCallers(client, stage.stack.url, addresses)
        calls = {kind: [call(callers) for _ in range(EACH)] for kind, call in SLOW.items()}
        ends = await asyncio.gather(*(asyncio.gather(*each) for each in calls.values()))
    kept = {kind: statuses.count(0) for kind, statuses in zip(calls, ends, strict=True)}
    assert kept == dict.fromkeys(SLOW, 0), f"of {EACH} each"


@pytest.mark.parametrize("part", NEAR_PARTS)
@pytest.mark.parametrize("fault", ON_ALL)
async def test_a_near_part(stage: Stage, part: str, fault: str) -> None:
    holds(await play_fault(stage, part, fault))


def test_the_logs_tell_of_no_fault_of_our_own(stage: Stage) -> None:
    assert stage.stack.faults() == []
