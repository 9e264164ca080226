"""Tables for people: a column for each target at each level, in as many tables as the width
needs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from inferencegraph.evaluate.load.hops import Addition
from inferencegraph.evaluate.load.running import Run
from inferencegraph.evaluate.load.statistics import CONFIDENCE, Estimate
from inferencegraph.evaluate.load.summary import Comparison, Summary

Line: TypeAlias = tuple[str, Callable[[Summary], str]]

NOTHING: Final = "-"


def _milliseconds(seconds: float | None) -> str:
    if seconds is None:
        return NOTHING
    value = 1000 * seconds
    return f"{value:,.0f} ms" if value >= 100 else f"{value:.3g} ms"


def _bytes(size: float | None) -> str:
    if size is None:
        return NOTHING
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            break
        size /= 1000
    return f"{size:.3g} {unit}" if size < 1000 else f"{size:,.0f} {unit}"


def _number(value: float | None) -> str:
    if value is None:
        return NOTHING
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _quantile(name: str, rank: str) -> Callable[[Summary], str]:
    return lambda summary: _milliseconds(getattr(summary, name)[rank])


def _failed(summary: Summary) -> str:
    return ", ".join(f"{count:,} {cause}" for cause, count in summary.failed.items()) or "0"


LINES: Final[Sequence[Line]] = (
    ("answered", lambda s: f"{s.answered:,}"),
    ("failed", _failed),
    ("requests/s", lambda s: _number(s.requests_per_second)),
    ("tokens/s", lambda s: _number(s.tokens_per_second)),
    *((f"latency {rank}", _quantile("latency", rank)) for rank in ("p50", "p95", "p99", "max")),
    *((f"first token {rank}", _quantile("ttft", rank)) for rank in ("p50", "p95", "p99")),
    *((f"between tokens {rank}", _quantile("itl", rank)) for rank in ("p50", "p95", "p99")),
    ("at the edge", lambda s: NOTHING if s.edge_share is None else f"{s.edge_share:.1%}"),
    ("degraded", lambda s: f"{s.degraded:,}" if s.degraded else NOTHING),
    ("from a cache", lambda s: f"{s.cached:,}" if s.cached else NOTHING),
    ("sent, received", lambda s: f"{_bytes(s.sent_bytes)}, {_bytes(s.received_bytes)}"),
    ("memory, peak", lambda s: f"{_bytes(s.memory.peak_bytes)}" if s.memory else NOTHING),
    (
        "its CPU a request",
        lambda s: _milliseconds(s.memory.cpu_seconds_per_request) if s.memory else NOTHING,
    ),
    ("harness: CPU", lambda s: f"{s.harness.cpu_share:.0%}"),
    ("harness: late p99", lambda s: _milliseconds(s.harness.late_p99)),
)
RATIOS: Final[Mapping[str, str]] = {
    "requests_per_second": "requests/s",
    "tokens_per_second": "tokens/s",
    **{f"latency_p{rank}": f"latency p{rank}" for rank in (50, 95, 99)},
    **{f"ttft_p{rank}": f"first token p{rank}" for rank in (50, 95, 99)},
}


def report(
    run: Run, summaries: Sequence[Summary], comparisons: Sequence[Comparison], width: int
) -> Group:
    """For a terminal of `width` columns."""
    heads = [_head(run, summary) for summary in summaries]
    lines = _told([(title, [show(s) for s in summaries]) for title, show in LINES])
    parts: list[Table | Text] = [Text(line) for line in _about(run)]
    parts += _tables(heads, lines, width)
    if comparisons := [each for each in comparisons if each.ratios]:
        heads = [f"{c.second} / {c.first}\n{_level(run, c.level)}" for c in comparisons]
        ratios = [
            (title, [_ratio(c.ratios.get(name)) for c in comparisons])
            for name, title in RATIOS.items()
        ]
        lines = _told(ratios)
        parts += _tables(heads, lines, width)
        parts.append(Text(f"[ ] {CONFIDENCE:.0%} intervals, of blocks that were asked in turns"))
    return Group(*parts)


def _told(lines: Sequence[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """Those that say something."""
    return [line for line in lines if any(cell != NOTHING for cell in line[1])]


def _about(run: Run) -> Iterator[str]:
    for target in run.targets:
        model = f", model {target.model}" if target.model else ""
        streams = ", streams" if target.stream else ""
        yield f"{target.name}: {target.shown} ({target.api}{streams}{model})"


def _head(run: Run, summary: Summary) -> str:
    return f"{summary.target}\n{_level(run, summary.level)}"


def _level(run: Run, level: float) -> str:
    if run.load.loop == "open":
        return f"{level:g}/s sent"
    return f"{level:g} caller{'s' * (level != 1)}"


def _ratio(estimate: Estimate | None) -> str:
    if estimate is None:
        return NOTHING
    value, low, high = (
        f"{v:#.3g}".rstrip(".") for v in (estimate.value, estimate.low, estimate.high)
    )
    return f"{value} [{low}, {high}]"


def additions_report(additions: Sequence[Addition]) -> Group:
    """What each hop adds."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for title in ("hop", "beside", "questions", "adds, median"):
        table.add_column(title, justify="left" if title in ("hop", "beside") else "right")
    for each in additions:
        which = "all" if each.route is None else f"{each.route}'s"
        table.add_row(each.hop, each.beside, f"{which}, {each.questions}", _added(each.seconds))
    return Group(table, Text(f"[ ] {CONFIDENCE:.0%} intervals, of the same questions at both"))


def _added(estimate: Estimate | None) -> str:
    if estimate is None:
        return NOTHING
    value, low, high = (1000 * v for v in (estimate.value, estimate.low, estimate.high))
    return f"{value:+.2f} ms [{low:+.2f}, {high:+.2f}]"


def _tables(
    heads: Sequence[str], lines: Sequence[tuple[str, Sequence[str]]], width: int
) -> Iterator[Table]:
    """As many columns in each as fit."""
    first = 0
    while first < len(heads):
        last = len(heads)
        while True:
            table = _table(heads, lines, first, last)
            if last == first + 1 or Console(width=10_000).measure(table).maximum <= width:
                break
            last -= 1
        yield table
        first = last


def _table(
    heads: Sequence[str], lines: Sequence[tuple[str, Sequence[str]]], first: int, last: int
) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column("", no_wrap=True)
    for head in heads[first:last]:
        table.add_column(head, justify="right", overflow="fold")
    for title, cells in lines:
        table.add_row(title, *cells[first:last])
    return table
