"""The status for people, at 80 columns."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from inferencegraph.cluster.pods import Finding
from inferencegraph.cluster.promise import NONE, UNKNOWN, VOID, Interval, Promise
from inferencegraph.cluster.status import Service, judged_share, stamp
from inferencegraph.cluster.telemetry import Figures

_COLOURS: Final = {"Running": "green", "Pending": "yellow", "Failed": "bold red"}
MOST_SITES: Final = 40  # that are listed; of more, those with something to tell come first


def status_table(found: Sequence[Service]) -> RenderableType:
    return Group(*(each for service in found for each in _service(service)))


def _service(service: Service) -> list[RenderableType]:
    sites = _shown(service)
    lines: list[RenderableType] = [_head(service), _indented(_parts(service, sites))]
    if len(sites) < len(service.sites):
        lines.append(Text(f"  and {len(service.sites) - len(sites)} more sites: --json has all"))
    for site in sites:
        url, facts = service.urls.get(site), _about(service, site)
        if url or facts:
            lines.append(_indented(Text(f"{site}: {url}" if url else f"{site}:")))
        lines += [_indented(Text(fact), 4) for fact in facts]
    lines += [_indented(reason) for reason in _reasons(service)]
    lines += [_indented(Text(f"note: {note}", "dim")) for note in service.telemetry.notes]
    return lines


def _head(service: Service) -> Text:
    condition = service.finding.condition
    return Text.assemble(
        (service.name, "bold"),
        f" in {service.namespace}: ",
        (condition, _COLOURS[condition]),
        f", since {service.started}, seen {stamp(service.at)}",
    )


def _parts(service: Service, sites: Sequence[str]) -> Table:
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
    return table


def _reasons(service: Service) -> list[Text]:
    """Why parts don't run, each reason once."""
    why: dict[Finding, list[str]] = {}
    for part in service.parts:
        if part.finding.condition != "Running":
            why.setdefault(part.finding, []).append(part.name)
    return [Text(_why(each, names), _COLOURS[each.condition]) for each, names in why.items()]


def _indented(shown: RenderableType, by: int = 2) -> Padding:
    return Padding(shown, (0, 0, 0, by), expand=False)


def _short(started: str, at: datetime) -> str:
    """The time of today, else the date."""
    day, _, time = started.rstrip("Z").partition("T")
    return time if day == f"{at:%Y-%m-%d}" else day


def _shown(service: Service) -> list[str]:
    troubled = {part.site for part in service.parts if part.finding.condition != "Running"}
    ordered = sorted(service.sites, key=lambda site: site not in troubled)
    return service.sites if len(ordered) <= MOST_SITES else ordered[:MOST_SITES]


def _about(service: Service, site: str) -> list[str]:
    """What its metrics tell, a line each."""
    figures, own = service.telemetry.figures.get(site), service.promises.get(site)
    facts = []
    if own and own.share:
        facts.append(f"edge share {_percent(own.share)} of {own.queries} queries")
    if figures and figures.error_rate is not None:
        facts.append(f"errors {figures.error_rate:.1%}")
    lines = [", ".join(facts)] if facts else []
    if own and own.cost:
        lines.append(f"cost {_money(own.cost)} {own.currency} per 1,000 answers")
    if figures and (numbers := sorted(figures.quality.versions)):
        lines.append(f"router version {' and '.join(map(str, numbers))}")
    if own and figures:
        lines += _promises(own, figures, judged_share(service, site))
    if figures:
        lines += figures.speculation.sentences()
    return lines


def _promises(own: Promise, figures: Figures, share: str | None) -> list[str]:
    """Of quality, and what of it can be known; of a share, where the spec has one."""
    if own.quality == NONE and figures.quality.promised is None:
        lines = [f"promise: {NONE}"]
    else:
        lines = [*figures.quality.sentences(), f"queries: {_drift(own)}"]
    return [*lines, share] if share else lines


def _drift(own: Promise) -> str:
    if own.drift is None:
        return f"whether they have drifted is {UNKNOWN}"
    if own.quality == VOID:
        return f"they have drifted (score drift {own.drift:.2f}), and void what was promised"
    return f"like those of the calibration (score drift {own.drift:.2f})"


def _percent(interval: Interval) -> str:
    return f"{interval.value:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def _money(interval: Interval) -> str:
    return f"{interval.value:.4g} ({interval.low:.4g} to {interval.high:.4g})"


def _why(finding: Finding, names: Sequence[str]) -> str:
    message = f": {finding.message}" if finding.message else ""
    return f"{', '.join(names)}: {finding.condition}, {finding.reason}{message}"
