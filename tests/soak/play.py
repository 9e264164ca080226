"""One row: a fault begins, lasts, and is mended, while good questions go on."""

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from predictors.contract import HEM_PREFER
from predictors.errors import HEMError
from predictors.upstream.ask import ask
from predictors.upstream.client import build_client
from tests.soak.bad_callers import KINDS
from tests.soak.caller_process import CallerProcess
from tests.soak.good_load import Alone, GoodLoad, Outcome
from tests.soak.happenings import HAPPENINGS, Unplayable
from tests.soak.services import PARTS, Stack
from tests.soak.table import (
    CALLER,
    CLOUD,
    FIRST_SECONDS,
    NOTHING,
    SLOWEST_SECONDS,
    Row,
    percentile,
)
from tests.soak.watched_processes import WatchedProcesses
from tests.soak.wire_faults import RETRY_AFTER_SECONDS

SECONDS: Final = float(os.environ.get("HEM_SOAK_SECONDS", "600"))
RATE: Final = float(os.environ.get("HEM_SOAK_RATE", "50"))
# Which callers who hurt are beside the good ones in a row of a fault; empty: none.
BESIDE: Final = os.environ.get("HEM_SOAK_BESIDE", ",".join(KINDS)).split(",")
# A row of the cloud has 2,000 requests with 600 s: 25 s of the fault, 15 s behind it. No fault is
# shorter than what an error may take, or nobody would see that one takes longer.
CLOUD_FAULT, CLOUD_AFTER = max(5.0, SECONDS / 24), SECONDS / 40
NEAR_FAULT, NEAR_QUIET = 4.0, 3.0
CALLER_SECONDS: Final = SECONDS / 50
# What p99 may be where nothing is wrong any more, over what it was before anything was.
NORMAL_FACTOR, NORMAL_MORE = 3.0, 0.3
# Every answer is as slow as this for as long as they last.
SLOW: Final = {"2 s of delay": 2.0, "20% packet loss": 2.0}
BREAKER_SECONDS: Final = 15.0  # the breaker's 10 s, and some to ask
NEAR_WITHIN: Final = 10.0
# A cloud that says when to come again is not asked before.
BACK_WITHIN: Final = {"429 Retry-After": RETRY_AFTER_SECONDS + 5.0}


@dataclass
class Stage:
    """What all rows share: the stack, what its models answer alone, and the usual p99."""

    stack: Stack
    alone: Alone
    watched: WatchedProcesses
    callers: CallerProcess
    rows: list[Row] = field(default_factory=list)
    normal: float = SLOWEST_SECONDS


async def play_nothing(stage: Stage) -> Row:
    """What is usual on this machine: the measure of every p99 behind a fault."""
    row = Row("none", NOTHING)
    async with traffic(stage, row, beside={}):
        row.began = time.monotonic()
        await asyncio.sleep(CALLER_SECONDS)
    stage.normal = NORMAL_FACTOR * percentile(row.first, 99) + NORMAL_MORE
    return row


async def play_callers(stage: Stage, kind: str) -> Row:
    row = Row(kind, CALLER, normal=stage.normal, first_seconds=first(CALLER_SECONDS))
    async with traffic(stage, row, beside={kind: KINDS[kind].rate}):
        row.began = time.monotonic()
        await asyncio.sleep(CALLER_SECONDS)
    row.healed = row.began + CALLER_SECONDS
    return await _well_again(stage, row)


async def play_fault(stage: Stage, part: str, fault: str) -> Row:
    lasts = CLOUD_FAULT if part == CLOUD else NEAR_FAULT
    row = Row(fault, part, normal=stage.normal + SLOW.get(fault, 0.0), first_seconds=first(lasts))
    row.back_within = BACK_WITHIN.get(fault, BREAKER_SECONDS if part == CLOUD else NEAR_WITHIN)
    happening = HAPPENINGS[fault](stage.stack, part)
    try:
        lasting = await asyncio.to_thread(happening.__enter__)
    except Unplayable as error:
        row.skipped = str(error)
        stage.rows.append(row)
        return row
    try:
        async with traffic(stage, row) as load:
            row.began = time.monotonic()
            await asyncio.to_thread(lasting.begin)
            await asyncio.sleep(lasts)
            await asyncio.to_thread(lasting.end)
            row.healed = time.monotonic()
            await _recovered(row, load.outcomes)
        row.back = _back(row, load.outcomes)
        return await _well_again(stage, row)
    finally:
        stage.stack.back_to_normal(part)
        await asyncio.to_thread(happening.__exit__, None, None, None)


def first(seconds: float) -> float:
    """What counts as the first ten seconds of something that lasts `seconds`."""
    return min(FIRST_SECONDS, seconds / 2)


@contextlib.asynccontextmanager
async def traffic(
    stage: Stage, row: Row, beside: dict[str, float] | None = None
) -> AsyncIterator[GoodLoad]:
    """Good questions, and callers who hurt beside them: kind -> calls a second."""
    if beside is None:
        beside = {
            name: kind.beside for name, kind in KINDS.items() if name in BESIDE and kind.beside
        }
    stage.rows.append(row)
    async with build_client(60) as client:
        load = GoodLoad(client, stage.stack.url, stage.alone, len(stage.rows))
        tasks = [asyncio.create_task(item) for item in (load.run(RATE), stage.watched.run())]
        await asyncio.to_thread(stage.callers.change, beside)
        try:
            yield load
        finally:
            for task in tasks:
                task.cancel()
            for end in await asyncio.gather(*tasks, return_exceptions=True):
                if not isinstance(end, asyncio.CancelledError):
                    row.notes.append(f"the traffic itself failed: {end!r}")
            await load.finish()
            row.outcomes = load.outcomes
            row.statuses = await asyncio.to_thread(stage.callers.change, {})


async def _recovered(row: Row, outcomes: list[Outcome]) -> None:
    """The cloud is watched for its time, and until it answers; a near part until nothing has
    failed for a while. Neither for longer than it may take."""
    quiet, most = (CLOUD_AFTER if row.part == CLOUD else NEAR_QUIET), row.back_within + NEAR_QUIET
    while (since := time.monotonic() - row.healed) < max(quiet, most):
        await asyncio.sleep(0.2)
        back = _back(row, outcomes)
        if row.part == CLOUD:
            back = most if back is None else 0.0
        if since > (back or 0.0) + quiet:
            return


def _back(row: Row, outcomes: Sequence[Outcome]) -> float | None:
    """Seconds from the recovery to the cloud's first answer, or to a near part's last failure."""
    later = [o for o in outcomes if o.at >= row.healed]
    if row.part == CLOUD:
        own = (o.at for o in later if o.served_by == PARTS[CLOUD])
        return next((at - row.healed for at in sorted(own)), None)
    return max((o.at - row.healed for o in later if o.kind != "right"), default=0.0)


async def _well_again(stage: Stage, row: Row) -> Row:
    """So that the next row finds all parts well; one that was not was hurt for ever."""
    until = time.monotonic() + RETRY_AFTER_SECONDS + BREAKER_SECONDS
    while not await _answers(stage.stack.url, PARTS[CLOUD]) and time.monotonic() < until:
        await asyncio.sleep(0.5)
    for part, service in stage.stack.parts.items():
        if not await _answers(service.infer_url):
            row.notes.append(f"{part} did not answer afterwards, and was replaced")
            await asyncio.to_thread(service.kill)
            await asyncio.to_thread(service.start)
            await asyncio.to_thread(service.wait_ready)
    return row


async def _answers(url: str, expected: str | None = None) -> bool:
    """Whether it answers a question, as `expected` where that is given. HEM's own answer to one is
    the request: no text, but no failure either."""
    async with httpx.AsyncClient(timeout=10) as client:
        try:
            if expected is None:
                body = {"inputs": [_QUESTION], "parameters": {"max_tokens": 8}}
                return (await client.post(url, json=body)).status_code == 200
            reply = await ask(client, url, ["1 + 1?"], {HEM_PREFER: "cloud"}, 10)
        except (httpx.HTTPError, HEMError):
            return False
    return reply.answers[0].served_by == expected


_QUESTION: Final = {"name": "text_input", "shape": [1], "datatype": "BYTES", "data": ["1 + 1?"]}
