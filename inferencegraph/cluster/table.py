"""The status for people, at 80 columns."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from inferencegraph.cluster.components import Finding
from inferencegraph.cluster.promise import Interval, Promise
from inferencegraph.cluster.status import Service, judged_share, stamp
from inferencegraph.cluster.telemetry import Figures

_COLOURS: Final = {"Running": "green", "Pending": "yellow", "Failed": "bold red"}
MOST_SITES: Final = 40  # that are listed; of more, those with something to tell come first


def status_table(found: Sequence[Service]) -> RenderableType:
    return Group(*(each for service in found for each in _service(service)))


def _service(service: Service) -> list[RenderableType]:
    finding = service.finding
    head = Text.assemble(
        (service.name, "bold"),
        f" in {service.namespace}: ",
        (finding.condition, _COLOURS[finding.condition]),
        f", since {service.started}, seen {stamp(service.at)}",
    )
    sites = _shown(service)
    answered, told = service.telemetry.answered, f"{service.telemetry.at:%H:%M:%S}"
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("site", "side", "condition"):
        table.add_column(column, overflow="fold")
    for column in ("active", "failed"):
        table.add_column(column, justify="right")
    for column in ("started", "heartbeat"):
        table.add_column(column)
    for site in sites:
        own = [part for part in service.parts if part.site == site]
        for place, part in enumerate(own):
            table.add_row(
                site if place == 0 else "",
                part.side,
                Text(part.finding.condition, _COLOURS[part.finding.condition]),
                str(part.active),
                str(part.failed),
                _short(part.started, service.at),
                told if part.name in answered else "-",
            )
    lines: list[RenderableType] = [head, _indented(table)]
    if len(sites) < len(service.sites):
        lines.append(Text(f"  and {len(service.sites) - len(sites)} more sites: --json has all"))
    for site in sites:
        lines += [_indented(Text(line)) for line in _about(service, site)]
    why: dict[Finding, list[str]] = {}
    for part in service.parts:
        if part.finding.condition != "Running":
            why.setdefault(part.finding, []).append(part.name)
    lines += [
        _indented(Text(_why(each, names), _COLOURS[each.condition])) for each, names in why.items()
    ]
    lines += [_indented(Text(f"note: {note}", "dim")) for note in service.telemetry.notes]
    return lines


def _indented(shown: RenderableType) -> Padding:
    return Padding(shown, (0, 0, 0, 2), expand=False)


def _short(started: str, at: datetime) -> str:
    """The time of today, else the date."""
    day, _, time = started.rstrip("Z").partition("T")
    return time if day == f"{at:%Y-%m-%d}" else day


def _shown(service: Service) -> list[str]:
    troubled = {part.site for part in service.parts if part.finding.condition != "Running"}
    ordered = sorted(service.sites, key=lambda site: site not in troubled)
    return service.sites if len(ordered) <= MOST_SITES else ordered[:MOST_SITES]


def _about(service: Service, site: str) -> list[str]:
    url = service.urls.get(site)
    lines = [f"{site}: {url}"] if url else []
    figures, own = service.telemetry.figures.get(site), service.promises.get(site)
    facts = []
    if own and own.share:
        facts.append(f"edge share {_percent(own.share)} of {own.queries} queries")
    if own and own.cost:
        facts.append(f"{_money(own.cost)} {own.currency} per 1,000 answers")
    if figures and figures.error_rate is not None:
        facts.append(f"errors {figures.error_rate:.1%}")
    if facts:
        lines.append(f"{site}: {', '.join(facts)}")
    if figures and figures.versions:
        lines.append(f"{site}: {_versions(figures)}")
    if own:
        judged = judged_share(service, site)
        lines.append(f"{site}: promise: {_quality(own)}{f'; {judged}' if judged else ''}")
    return lines


def _quality(own: Promise) -> str:
    return own.quality if own.drift is None else f"{own.quality} (score drift {own.drift:.2f})"


def _versions(figures: Figures) -> str:
    """Replicas take a switch up within seconds, not at once."""
    told = f"router version {' and '.join(map(str, sorted(figures.versions)))}"
    if figures.live is not None:
        told += f", live quality loss {figures.live:.3f}"
    if figures.promised is not None:
        told += f", promised {figures.promised:g}"
    return told


def _percent(interval: Interval) -> str:
    return f"{interval.value:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def _money(interval: Interval) -> str:
    return f"{interval.value:.4g} ({interval.low:.4g} to {interval.high:.4g})"


def _why(finding: Finding, names: Sequence[str]) -> str:
    message = f": {finding.message}" if finding.message else ""
    return f"{', '.join(names)}: {finding.condition}, {finding.reason}{message}"
