"""The hops of a local `hem up`, each asked the same questions in turns, and what each adds.

The services are found among the processes that `hem up` started: by their `--model_name` and
`--http_port`, as inferencegraph.local.plan writes them.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import psutil

from inferencegraph.evaluate.load.driving import Driver
from inferencegraph.evaluate.load.harness import watched
from inferencegraph.evaluate.load.plan import Load, turns
from inferencegraph.evaluate.load.processes import listening_processes
from inferencegraph.evaluate.load.questions import Question
from inferencegraph.evaluate.load.record import Record
from inferencegraph.evaluate.load.running import Block, Run, first_request, with_model
from inferencegraph.evaluate.load.statistics import Estimate, difference_interval
from inferencegraph.evaluate.load.target import Target, target
from inferencegraph.local.placement import GATEWAY, LOOPBACK
from predictors.contract import CLOUD, EDGE, Scalar
from predictors.errors import ConfigurationError
from predictors.upstream.timed import TimedServer

WARM_UP_QUESTIONS: Final = 10
GRAPH: Final = "graph"
GATEWAY_HOP: Final = "gateway"
HEM: Final = "hem"
UPLINK: Final = "uplink"
# The edge model behind its HEM transformer, where mining sees the answer.
MINED_EDGE: Final = "edge+hem"
ORDER: Final = (EDGE, MINED_EDGE, HEM, CLOUD, UPLINK, GRAPH, GATEWAY_HOP)


@dataclass(frozen=True, slots=True)
class Addition:
    """What `hop` takes more than `beside` for the same question: the median over `questions`, in
    seconds. `route` is where these went; None for all."""

    hop: str
    beside: str
    route: str | None
    questions: int
    seconds: Estimate | None

    def facts(self) -> dict[str, Any]:
        return asdict(self)


# (hop, beside, of the questions that went where)
PAIRS: Final = (
    (MINED_EDGE, EDGE, None),
    (UPLINK, CLOUD, None),
    (GRAPH, EDGE, EDGE),
    (GRAPH, MINED_EDGE, EDGE),
    (GRAPH, UPLINK, CLOUD),
    (GRAPH, CLOUD, CLOUD),
    (GATEWAY_HOP, EDGE, EDGE),
    (GATEWAY_HOP, CLOUD, CLOUD),
)


def local_hops(url: str) -> list[Target]:
    """Of the stack whose graph listens at `url`. Raises ConfigurationError."""
    owners = listening_processes(url)
    if not owners:
        raise ConfigurationError(
            f"--hops: no process of this machine listens at {url}; start `hem up`, or name its "
            "graph with --url"
        )
    found: dict[str, list[Target]] = {}
    for owner in owners:
        for process in owner.children(recursive=True):
            for hop in _hops(process):
                found.setdefault(hop.name, []).append(hop)
    if EDGE not in found:
        raise ConfigurationError(f"--hops: {url} is not the graph of a local `hem up`")
    if len(found[EDGE]) > 1:
        raise ConfigurationError(
            f"--hops: {url} belongs to a stack of {len(found[EDGE])} sites; "
            "start one of them alone with `hem up --graph NAME`"
        )
    hops = {name: targets[0] for name, targets in found.items()}
    hops[GRAPH] = target(GRAPH, url, stream=False)
    return [hops[name] for name in ORDER if name in hops]


def _hops(process: psutil.Process) -> list[Target]:
    """None for what is no service of ours."""
    try:
        words, variables = process.cmdline(), process.environ()
    except psutil.Error:
        return []
    name, port = option(words, "--model_name"), option(words, "--http_port")
    if name is None or port is None:
        return []
    base = f"http://{LOOPBACK}:{port}"
    role = name.rpartition("-")[2]
    if role == EDGE and option(words, "--predictor_host"):
        role = MINED_EDGE
    hops = []
    if role in ORDER:
        hops.append(target(role, f"{base}/v2/models/{name}/infer", stream=False))
    if any(map(variables.get, GATEWAY)):
        hops.append(target(GATEWAY_HOP, f"{base}/v1", stream=False))
    return hops


def option(words: Sequence[str], name: str) -> str | None:
    """The last value of `--name VALUE` or `--name=VALUE`: it wins."""
    value = None
    for word, after in zip(words, [*words[1:], ""], strict=False):
        if word == name:
            value = after
        elif word.startswith(f"{name}="):
            value = word.partition("=")[2]
    return value or None


async def measure(
    run: Run,
    questions: Sequence[Question],
    parameters: Mapping[str, Scalar],
    stop: asyncio.Event,
    timeout: float,
) -> None:
    """Asks one question at a time, at each hop in turns; fills `run` with a block for each hop.

    Raises the HEMError of a first request.
    """
    run.targets = [await with_model(hop, timeout) for hop in run.targets]
    assert run.load.requests is not None
    records: dict[str, list[Record]] = {hop.name: [] for hop in run.targets}
    with ExitStack() as open_servers:
        drivers = []
        for hop in run.targets:
            server = TimedServer(hop.url, hop.headers, seconds=timeout)
            open_servers.callback(server.close)
            driver = Driver(hop, server, hop.bodies(questions, parameters), stop)
            await first_request(driver)
            drivers.append(driver)
        for _, driver in turns(drivers, WARM_UP_QUESTIONS):
            await driver.ask(1, 0)
        try:
            with watched() as harness:
                for number, driver in turns(drivers, run.load.requests):
                    if stop.is_set():
                        break
                    record = await driver.ask(1, number)
                    records[driver.target.name].append(record)
                    run.under_way.append(record)
        finally:
            run.interrupted, run.under_way = stop.is_set(), []
            for driver in drivers:
                asked = records[driver.target.name]
                seconds = sum(record.latency for record in asked)
                run.blocks.append(Block(driver.target, 1, 0, seconds, asked, harness, None))


def hops_load(requests: int, seed: int) -> Load:
    return Load("closed", (1.0,), None, requests, 0.0, 1, seed)


def additions(run: Run) -> list[Addition]:
    """Of the hops that the stack has. A question that failed at one of both is left out."""
    blocks = {block.target.name: block for block in run.blocks}
    return [
        _addition(blocks[hop], blocks[beside], route, run.load.seed)
        for hop, beside, route in PAIRS
        if hop in blocks and beside in blocks
    ]


def _addition(hop: Block, beside: Block, route: str | None, seed: int) -> Addition:
    pairs = [
        (first.latency, second.latency)
        for first, second in zip(beside.records, hop.records, strict=False)
        if first.failure is None
        and second.failure is None
        and (route is None or (second.route == route and not second.degraded))
    ]
    first, second = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    estimate = difference_interval(first, second, seed)
    return Addition(hop.target.name, beside.target.name, route, len(pairs), estimate)
