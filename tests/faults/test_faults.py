"""All sixteen faults at our gateway, with a shorter clock. docs/failover.md has a row for each.

`python -m tests.faults` plays them at their own speed, and LiteLLM's proxy beside.
"""

import functools
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from tests.faults.proxies import gateway
from tests.faults.rows import ROWS, Case, Clock
from tests.faults.stage import Stage, providers

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

CLOCK = Clock(0.1)
SITES = {
    "cloud behind an uplink": functools.partial(gateway, side="cloud", uplink=True),
    "cloud": functools.partial(gateway, side="cloud", uplink=False),
    "edge": functools.partial(gateway, side="edge", uplink=True),
}
CASES = {f"{row.name}, {case.name}": case for row in ROWS for case in row.cases}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=SITES)
async def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stage]:
    """A site whose primary is named, with processes of its own."""
    folder = tmp_path_factory.mktemp("site")
    async with (
        httpx.AsyncClient(timeout=None) as client,
        providers() as (primary, fallback),
        SITES[request.param](primary, fallback, folder, clock=CLOCK) as proxy,
    ):
        yield Stage(proxy, primary, fallback, CLOCK, client)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_the_caller_and_the_providers_see_what_is_right(stage: Stage, case: Case) -> None:
    assert case.right(await stage.play(case), CLOCK) == ""
