"""The leaderboard: a table for people, and rank.csv as Ianvs's users know it."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table

from inferencegraph.evaluate.metrics import BY_NAME, METRICS, Metric

# Shown where they are known.
COLUMNS: Final = (
    "quality",
    "edge_share",
    "kept",
    "latency_p50_seconds",
    "latency_p95_seconds",
    "mean_first_token_seconds",
    "tokens_per_second",
    "cost",
    "cost_saved",
    "failures",
)
_BARE: Final = frozenset({"failures"})  # without an interval
_PERCENT: Final = frozenset({"Accuracy", "Edge Ratio"})  # Ianvs writes them so


def shown_columns(result: Mapping[str, Any]) -> list[Metric]:
    chosen = result.get("columns") or COLUMNS
    known = {name for system in result["systems"] for name in system["metrics"]}
    return [BY_NAME[name] for name in chosen if name in known]


def cell(system: Mapping[str, Any], metric: Metric) -> tuple[str, str]:
    """The value, and what it may be."""
    figure = system["metrics"].get(metric.name)
    if figure is None:
        return "-", ""
    value = metric.show(figure["value"])
    if "low" not in figure or metric.name in _BARE:
        return value, ""
    low, high = metric.show(figure["low"]), metric.show(figure["high"])
    return value, "" if low == high == value else _spread(low, high)


def _spread(low: str, high: str) -> str:
    """With the unit once, where both have the same."""
    unit = high.lstrip("-0123456789.,e")
    return (
        f"{low.removesuffix(unit)} to {high}" if unit and low.endswith(unit) else f"{low} to {high}"
    )


def table(result: Mapping[str, Any], width: int) -> Table:
    """For a terminal of `width` columns: a row for each system; where that would be cut, a block
    of lines for each."""
    wide = _wide(result)
    if Console(width=10_000).measure(wide).maximum <= width:
        return wide
    return _narrow(result)


def _wide(result: Mapping[str, Any]) -> Table:
    made = _empty(result)
    made.add_column("", justify="right")
    made.add_column("system", no_wrap=True)
    columns = shown_columns(result)
    for metric in columns:
        made.add_column(metric.title, justify="right", no_wrap=True)
    made.add_column(f"less {result['baseline']}", justify="right", no_wrap=True)
    for rank, system in enumerate(result["systems"], start=1):
        cells = (cell(system, metric) for metric in columns)
        values = [f"{value}\n[dim]{spread}[/]" if spread else value for value, spread in cells]
        made.add_row(str(rank), _name(system), *values, difference(system))
    return made


def _narrow(result: Mapping[str, Any]) -> Table:
    """A block of lines for each system."""
    made = _empty(result)
    made.add_column("", no_wrap=True)
    made.add_column("", justify="right", no_wrap=True)
    made.add_column("", no_wrap=True, style="dim")
    columns = shown_columns(result)
    for rank, system in enumerate(result["systems"], start=1):
        made.add_row(f"[bold]{rank}. {system['name']}[/]", "", _how(system))
        for metric in columns:
            value, spread = cell(system, metric)
            made.add_row(f"   {metric.title}", value, spread)
        if told := difference(system):
            value, _, about = told.partition("\n")
            made.add_row(
                f"   less {result['baseline']}",
                value,
                about.removeprefix("[dim]").removesuffix("[/]"),
            )
        made.add_section()
    return made


def _name(system: Mapping[str, Any]) -> str:
    return f"[bold]{system['name']}[/]\n[dim]{_how(system)}[/]"


def _how(system: Mapping[str, Any]) -> str:
    return "measured" if system["measured"] else "replayed"


def difference(system: Mapping[str, Any]) -> str:
    """In quality, with how likely one so large is where there is none."""
    found = system.get("difference")
    if found is None:
        return ""
    p_value = found["adjusted_p_value"]
    shown = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
    return f"{found['mean']:+.3f}, {shown}\n[dim]{found['low']:+.3f} to {found['high']:+.3f}[/]"


def _empty(result: Mapping[str, Any]) -> Table:
    return Table(
        title=result["name"],
        caption="\n".join(notes(result)),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        title_justify="left",
        caption_justify="left",
    )


def notes(result: Mapping[str, Any]) -> Iterator[str]:
    """What a reader must know of the figures."""
    where = f", {result['asked']}" if result["asked"] else ""
    pace = result["pace"] or {}
    if "concurrency" in pace:
        where += f", {pace['concurrency']} at a time"
    elif "rate" in pace:
        where += f", {pace['rate']:g} a second"
    yield f"{result['questions']:,} questions{where}; kept: share of CloudOnly's quality"
    count = sum("difference" in system for system in result["systems"])
    yield (
        f"small: {result['confidence']:.0%} intervals (bootstrap, {result['resamples']:,} draws); "
        f"p: paired, of {count} comparisons with {result['baseline']} together (Holm)"
    )
    if any(not system["measured"] for system in result["systems"]) and result["asked"]:
        yield "replayed: the decision is made anew; both sides' answers are those measured"
    attested = [
        s["name"] for s in result["systems"] if not s.get("provenance", {"checked": 1})["checked"]
    ]
    if attested:
        yield (
            f"attested only: that {', '.join(attested)} learned from other questions; its "
            "directory doesn't have its rows (trained_on names the file)"
        )


def rank_csv(result: Mapping[str, Any], *, selected: bool) -> str:
    """rank.csv, or selected_rank.csv: the columns of Ianvs's, and with all of them every other
    metric by its own name, with its interval."""
    header: dict[str, None] = {}
    rows = []
    for rank, system in enumerate(result["systems"], start=1):
        row = {"rank": rank, "algorithm": "query-routing", **_ianvs(system)}
        row |= {"paradigm": "jointinference", "hard_example_mining": system["name"]}
        row |= {f"{side}model-model": _model(result, side) for side in ("edge", "cloud")}
        row |= {} if selected else _everything(system)
        row |= {"time": result["created"], "url": result.get("folder", "")}
        header |= dict.fromkeys(row)
        rows.append(row)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(header), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _ianvs(system: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for metric in METRICS:
        if metric.ianvs is not None:
            figure = system["metrics"].get(metric.name)
            scale = 100 if metric.ianvs in _PERCENT else 1
            found[metric.ianvs] = "" if figure is None else round(scale * figure["value"], 6)
    return found


def _everything(system: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"measured": system["measured"], "threshold": system["threshold"]}
    for name, figure in system["metrics"].items():
        found[name] = figure["value"]
        if "low" in figure:
            found |= {f"{name}_low": figure["low"], f"{name}_high": figure["high"]}
    for name, value in system["router"].items():
        found[f"router_{name}"] = value
    for name, value in system.get("difference", {}).items():
        found[f"difference_{name}"] = value
    for name, value in system.get("provenance", {}).items():
        found[f"provenance_{name}"] = value
    return found


def _model(result: Mapping[str, Any], side: str) -> str:
    only = {"edge": "EdgeOnly", "cloud": "CloudOnly"}[side]
    served: Mapping[str, int] = next(
        (s["served_by"] for s in result["systems"] if s["kind"] == only), {}
    )
    return next(iter(served), "")
