"""The figures of one target at one level, and of two targets beside each other."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from inferencegraph.evaluate.load.harness import bottleneck, send_lags, together
from inferencegraph.evaluate.load.record import Record
from inferencegraph.evaluate.load.running import Block, Run
from inferencegraph.evaluate.load.statistics import (
    Blocks,
    Draw,
    Estimate,
    Values,
    percentile,
    ratio_interval,
)
from inferencegraph.evaluate.load.target import Target
from predictors.contract import EDGE

RANKS: Final = (50, 95, 99)
ENDS_SHARE: Final = 0.1  # of a block: where answers take longer, its ends weigh


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of resident sets; see ServerUse. `cpu_seconds_per_request` of the server."""

    processes: int
    rss_bytes: int
    peak_bytes: int
    cpu_seconds_per_request: float | None


@dataclass(frozen=True, slots=True)
class Harness:
    """`late_p99`: seconds from when requests were to leave until they did; of callers, who send
    when they are answered, how late the event loop was. `bottleneck` says why the figures may be
    those of the harness; None where they are not."""

    cpu_share: float
    cpu_seconds_per_request: float | None
    late_p99: float | None
    bottleneck: str | None


@dataclass(frozen=True, slots=True)
class Summary:
    """Times in seconds, of requests that were answered; None where nothing was measured.
    `latency` is from when a request was to leave, `service` from when it left; `ttft` and `itl` are
    those of streams. Rates are of wall time."""

    target: str
    level: float
    requests: int
    answered: int
    failed: dict[str, int]
    seconds: float
    requests_per_second: float
    tokens_per_second: float | None
    tokens: int | None
    latency: dict[str, float | None]
    service: dict[str, float | None]
    ttft: dict[str, float | None]
    itl: dict[str, float | None]
    sent_bytes: int
    received_bytes: int
    edge_share: float | None
    degraded: int
    cached: int
    memory: Memory | None
    harness: Harness
    notes: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Figures of `second` over those of `first`, which were asked in turns."""

    first: str
    second: str
    level: float
    ratios: dict[str, Estimate | None]

    def facts(self) -> dict[str, Any]:
        return asdict(self)


def summaries(run: Run) -> list[Summary]:
    """Of each level and target, in the order in which they were given."""
    return [
        _summary(target, level, blocks, run.load.loop)
        for level in run.load.levels
        for target in run.targets
        if (blocks := _blocks(run, level, target))
    ]


def comparisons(run: Run) -> list[Comparison]:
    """Each target beside the first one."""
    return [
        Comparison(run.targets[0].name, other.name, level, _ratios(run, level, other))
        for level in run.load.levels
        for other in run.targets[1:]
    ]


def _blocks(run: Run, level: float, target: Target) -> list[Block]:
    return [b for b in run.blocks if b.level == level and b.target.name == target.name]


def _summary(target: Target, level: float, blocks: Sequence[Block], loop: str) -> Summary:
    records = [record for block in blocks for record in block.records]
    good = [record for record in records if record.failure is None]
    seconds = sum(block.wall_seconds for block in blocks)
    latency = _latencies(good)
    routes = [record.route for record in good if record.route]
    tokens = [record.tokens for record in good if record.tokens is not None]
    return Summary(
        target=target.name,
        level=level,
        requests=len(records),
        answered=len(good),
        failed=dict(Counter(r.failure for r in records if r.failure).most_common()),
        seconds=seconds,
        requests_per_second=len(good) / seconds if seconds else 0.0,
        tokens_per_second=sum(tokens) / seconds if tokens and seconds else None,
        tokens=sum(tokens) if tokens else None,
        latency=_quantiles(latency),
        service=_quantiles(np.array([record.end - record.sent for record in good])),
        ttft=_quantiles(_first_tokens(good)),
        itl=_quantiles(np.array([gap for record in good for gap in record.gaps])),
        sent_bytes=sum(record.sent_bytes for record in records),
        received_bytes=sum(record.received_bytes for record in records),
        edge_share=routes.count(EDGE) / len(routes) if routes else None,
        degraded=sum(bool(record.degraded) for record in good),
        cached=sum(record.cached for record in good),
        memory=_memory(blocks, len(good)),
        harness=_harness(blocks, records, percentile(latency, 50), loop),
        notes=tuple(_notes(blocks, latency)),
    )


def _quantiles(values: Values) -> dict[str, float | None]:
    ranks = {f"p{rank}": percentile(values, rank) for rank in RANKS}
    return {**ranks, "max": float(values.max()) if values.size else None}


def _latencies(records: Sequence[Record]) -> Values:
    return np.array([record.latency for record in records])


def _first_tokens(records: Sequence[Record]) -> Values:
    return np.array([r.first - r.intended for r in records if r.first is not None])


def _memory(blocks: Sequence[Block], answered: int) -> Memory | None:
    uses = [block.server for block in blocks if block.server]
    if not uses:
        return None
    seconds = sum(use.cpu_seconds for use in uses)
    last, peak = uses[-1], max(use.peak_bytes for use in uses)
    each = seconds / answered if answered else None
    return Memory(last.processes, last.rss_bytes, peak, each)


def _harness(
    blocks: Sequence[Block], records: Sequence[Record], latency: float | None, loop: str
) -> Harness:
    use = together([block.harness for block in blocks])
    late = percentile(send_lags(records) if loop == "open" else use.loop_lags, 99)
    return Harness(
        use.cpu_share,
        use.cpu_seconds / len(records) if records else None,
        late,
        bottleneck(use, late, latency),
    )


def _notes(blocks: Sequence[Block], latency: Values) -> list[str]:
    median = percentile(latency, 50)
    shortest = min(block.wall_seconds for block in blocks)
    if len(blocks) > 1 and median is not None and median > ENDS_SHARE * shortest:
        return [
            f"answers take {median:.2g} s and blocks {shortest:.2g} s: callers idle at the ends of "
            "blocks; a longer --duration, or fewer --blocks, tells more"
        ]
    return []


def _ratios(run: Run, level: float, other: Target) -> dict[str, Estimate | None]:
    """Intervals of requests a second, tokens a second, and of latencies."""
    sides = [
        {block.number: block for block in _blocks(run, level, target)}
        for target in (run.targets[0], other)
    ]
    pairs = [(sides[0][n], sides[1][n]) for n in sides[0] if n in sides[1]]
    seed = run.load.seed

    def ratio(values: Any, statistic: Any) -> Estimate | None:
        return ratio_interval([(values(a), values(b)) for a, b in pairs], statistic, seed)

    ratios = {
        "requests_per_second": ratio(_rate, Blocks.mean),
        "tokens_per_second": ratio(_token_rate, Blocks.mean),
    }
    for rank in RANKS:
        statistic = partial(_percentile_of, rank)
        ratios[f"latency_p{rank}"] = ratio(lambda b: _latencies(_good(b)), statistic)
        ratios[f"ttft_p{rank}"] = ratio(lambda b: _first_tokens(_good(b)), statistic)
    return {name: estimate for name, estimate in ratios.items() if estimate is not None}


def _percentile_of(rank: float, blocks: Blocks, copies: Draw) -> float:
    return blocks.percentile(rank, copies)


def _good(block: Block) -> list[Record]:
    return [record for record in block.records if record.failure is None]


def _rate(block: Block) -> Values:
    return np.array([len(_good(block)) / block.wall_seconds])


def _token_rate(block: Block) -> Values:
    tokens = [r.tokens for r in _good(block) if r.tokens is not None]
    return np.array([sum(tokens) / block.wall_seconds] if tokens else [])
