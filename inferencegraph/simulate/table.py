"""A report for the terminal."""

from rich import box
from rich.table import Table

from inferencegraph.simulate.report import Report, Served
from inferencegraph.simulate.running import Utilisation

FIGURES = (
    "queries that came",
    "answers a second",
    "p50",
    "p95",
    "p99",
    "answered by the edge",
    "by the edge for the cloud",
    "failed",
    "mining busy",
    "edge busy",
    "uplink busy",
)


def table(report: Report, sites: int) -> Table:
    """A column for all sites, and one for each of the `sites` with the longest p95."""
    slowest = sorted(report.sites, key=lambda each: each.served.latency.p95, reverse=True)
    shown = slowest[:sites] if len(slowest) > 1 else []
    found = Table(box=box.SIMPLE_HEAD, caption=caption(report), caption_justify="left")
    found.add_column("")
    columns = [_cells(report.served, mean([each.utilisation for each in report.sites]))]
    columns += [_cells(site.served, site.utilisation) for site in shown]
    count = len(report.sites)
    for name in ("1 site" if count == 1 else f"all {count} sites", *(each.name for each in shown)):
        found.add_column(name, justify="right")
    for figure, *row in zip(FIGURES, *columns, strict=True):
        found.add_row(figure, *row)
    return found


def caption(report: Report) -> str:
    busy = report.cloud_utilisation
    text = f"cloud: {len(busy)} replica(s), busy {percent(sum(busy) / len(busy))}"
    if len(busy) > 1:
        text += f", the busiest {percent(max(busy))}"
    if failures := report.served.failures:
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in failures.items())
        text += f"; it did not answer {sum(failures.values()):,}: {reasons}"
    return text


def mean(sites: list[Utilisation]) -> Utilisation:
    return Utilisation(
        sum(each.mining for each in sites) / len(sites),
        sum(each.edge for each in sites) / len(sites),
        sum(each.uplink for each in sites) / len(sites),
    )


def percent(share: float) -> str:
    return f"{share:.1%}"


def _cells(served: Served, busy: Utilisation) -> list[str]:
    latency, came = served.latency, served.came
    return [
        f"{came:,}",
        f"{served.throughput:.2f}",
        *(f"{seconds:.3g} s" for seconds in (latency.p50, latency.p95, latency.p99)),
        percent(served.edge_share),
        percent(served.degraded / came if came else 0.0),
        percent(served.failed / came if came else 0.0),
        *map(percent, (busy.mining, busy.edge, busy.uplink)),
    ]
