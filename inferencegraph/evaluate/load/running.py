"""A whole run: a first request of each target alone, then warm-ups and blocks in their order."""

import asyncio
import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Final

from inferencegraph.evaluate.hints import hint_where_nobody_listens
from inferencegraph.evaluate.load.driving import Driver
from inferencegraph.evaluate.load.harness import HarnessUse, watched
from inferencegraph.evaluate.load.plan import Load, turns
from inferencegraph.evaluate.load.processes import ServerProcesses, ServerUse, processes_of
from inferencegraph.evaluate.load.questions import Question
from inferencegraph.evaluate.load.record import Record
from inferencegraph.evaluate.load.target import API, Target
from predictors.contract import Scalar
from predictors.errors import Cause, ConfigurationError, HEMError, UpstreamError
from predictors.upstream.attempt import as_json, attempt
from predictors.upstream.client import build_client
from predictors.upstream.timed import TimedServer

_CAUSES: Final = frozenset(Cause)


@dataclass(slots=True)
class Block:
    """`wall_seconds` from its beginning until the last answer had come; `server` is None where its
    processes can't be seen."""

    target: Target
    level: float
    number: int
    wall_seconds: float
    records: list[Record]
    harness: HarnessUse
    server: ServerUse | None


@dataclass(slots=True)
class Run:
    """`began` is the origin of the rows' times, in perf_counter's. Blocks come as they end; those
    that a signal kept from being begun are missing."""

    load: Load
    targets: Sequence[Target]
    began: float = field(default_factory=perf_counter)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    blocks: list[Block] = field(default_factory=list)
    interrupted: bool = False
    under_way: list[Record] = field(default_factory=list)

    @property
    def asked(self) -> int:
        """Requests that count, so far."""
        return sum(len(block.records) for block in self.blocks) + len(self.under_way)


async def execute(
    run: Run,
    questions: Sequence[Question],
    parameters: dict[str, Scalar],
    stop: asyncio.Event,
    *,
    timeout: float,
    on_block: Callable[[Run, Block], None] = lambda run, block: None,
) -> None:
    """Fills `run`, also where it is cancelled. Raises the HEMError of a first request, which goes
    ahead alone: where that one fails, so would all. `on_block` gets each block as it ends."""
    run.targets = [await with_model(target, timeout) for target in run.targets]
    with ExitStack() as open_servers:
        drivers = []
        for target in run.targets:
            server = TimedServer(target.url, target.headers, seconds=timeout)
            open_servers.callback(server.close)
            bodies = target.bodies(questions, parameters)
            drivers.append(Driver(target, server, bodies, stop))
        for driver in drivers:
            await first_request(driver)
        seen = {driver.target.name: processes_of(driver.target.url) for driver in drivers}
        try:
            for level in run.load.levels:
                await _level(run, level, drivers, seen, stop, on_block)
        finally:
            run.interrupted = stop.is_set()


async def first_request(driver: Driver) -> None:
    """Raises UpstreamError."""
    with hint_where_nobody_listens():
        record = await driver.ask(0, 0)
        if record.failure is None:
            return
        raise failed(driver.target, record)


def failed(target: Target, record: Record) -> UpstreamError:
    """What a record that failed says, in a line."""
    where = target.shown
    if record.failure in _CAUSES:
        cause = Cause(record.failure)
        return UpstreamError(f"{where} {record.detail}", cause)
    if record.status != 200:
        return UpstreamError(f"{where} answered {record.status}: {record.detail}")
    return UpstreamError(f"{where} answered an error: {record.detail}")


async def _level(
    run: Run,
    level: float,
    drivers: Sequence[Driver],
    seen: Mapping[str, ServerProcesses | None],
    stop: asyncio.Event,
    on_block: Callable[[Run, Block], None],
) -> None:
    for number, driver in turns(drivers, run.load.blocks):
        if number == 0 and run.load.warmup:
            await _drive(driver, run.load, level, None, [])
        if stop.is_set():
            return
        with _as_block(run, driver.target, level, number, seen, on_block) as records:
            await _drive(driver, run.load, level, number, records)


@contextmanager
def _as_block(
    run: Run,
    target: Target,
    level: float,
    number: int,
    seen: Mapping[str, ServerProcesses | None],
    on_block: Callable[[Run, Block], None],
) -> Iterator[list[Record]]:
    """What comes into the records within it becomes a block, whatever ends it."""
    records = run.under_way = []
    processes, began, end = seen[target.name], perf_counter(), None
    try:
        with _no_collection(), watched() as harness, ExitStack() as around:
            server = around.enter_context(processes.watched()) if processes else None
            began = perf_counter()
            yield records
        end = max((record.end for record in records), default=None)
    finally:
        seconds = (end or perf_counter()) - began  # a block that was cancelled waited till now
        block = Block(target, level, number, seconds, records, harness, server)
        run.blocks.append(block)
        run.under_way = []
        on_block(run, block)


async def _drive(
    driver: Driver, load: Load, level: float, block: int | None, records: list[Record]
) -> None:
    """A block, or the warm-up where it has no number."""
    if load.loop == "open":
        arrivals = load.warm_up_arrivals(level) if block is None else load.arrivals(level, block)
        await driver.open(level, block or 0, arrivals, records)
    elif block is None:
        await driver.closed(int(level), 0, load.warmup, None, records)
    else:
        share = (load.block_seconds(), load.block_requests(block))
        await driver.closed(int(level), block, *share, records)


@contextmanager
def _no_collection() -> Iterator[None]:
    """A collection of a million records holds up what is measured for a second."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def with_model(target: Target, seconds: float) -> Target:
    """The first model that the server lists, where an OpenAI target names none."""
    if target.api is API.V2 or target.model is not None:
        return target
    async with build_client(seconds, connect=5.0, headers=target.headers) as client:
        request = client.build_request("GET", target.models_url)
        try:
            with hint_where_nobody_listens():
                name = await attempt(client, request, as_json(_first_model), seconds=seconds)
        except HEMError as error:
            raise ConfigurationError(f"{error}; or name the model with --model") from None
    return replace(target, model=name)


def _first_model(listed: dict[str, list[dict[str, str]]]) -> str:
    try:
        return listed["data"][0]["id"]
    except (KeyError, IndexError, TypeError):
        raise ValueError("it lists no model") from None
