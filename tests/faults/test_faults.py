"""All sixteen faults at our gateway, with a shorter clock. docs/failover.md has a row for each.

`python -m tests.faults` plays them at their own speed, and LiteLLM's proxy beside.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from typing import Final

import httpx
import pytest
import pytest_asyncio

from tests.faults.proxies import Start, gateway
from tests.faults.rows import ROWS, Case, Clock
from tests.faults.stage import Stage, providers

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

CLOCK: Final = Clock(0.1)
# By the primary.
SITES: Final[Mapping[str, Start]] = {
    "cloud behind an uplink": functools.partial(gateway, side="cloud", clock=CLOCK, uplink=True),
    "cloud": functools.partial(gateway, side="cloud", clock=CLOCK, uplink=False),
    "edge": functools.partial(gateway, side="edge", clock=CLOCK, uplink=True),
}
CASES: Final = {f"{row.name}, {case.name}": case for row in ROWS for case in row.cases}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stages(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mapping[str, Stage]]:
    """Of each site, with processes of its own."""
    found = {}
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(httpx.AsyncClient(timeout=None))
        for name, start in SITES.items():
            primary, fallback = await stack.enter_async_context(providers())
            folder = tmp_path_factory.mktemp("site")
            proxy = await stack.enter_async_context(start(primary, fallback, folder))
            found[name] = Stage(proxy, primary, fallback, CLOCK, client)
        yield found


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_the_caller_and_the_providers_see_what_is_right(
    stages: Mapping[str, Stage], case: Case
) -> None:
    async def wrong(stage: Stage) -> str:
        return case.right(await stage.play(case), CLOCK)

    verdicts = await asyncio.gather(*map(wrong, stages.values()))
    # A machine that is busy with other tests can be late by a limit of this fast clock: what went
    # wrong is played once more, one site after the other.
    late = [name for name, said in zip(stages, verdicts, strict=True) if said]
    assert {name: await wrong(stages[name]) for name in late} == dict.fromkeys(late, "")
