"""The report: one HTML file that needs no other, for a screen, a phone or paper.

charts.py      its pictures
verdict.py     what a benchmark says, in words
page.html      the page; Jinja2 escapes all that comes from data
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from inferencegraph.evaluate.leaderboard import cell, notes, shown_columns
from inferencegraph.evaluate.metrics import METRICS
from inferencegraph.evaluate.report.charts import cost_quality, latencies, require_charts, style
from inferencegraph.evaluate.report.verdict import verdict
from predictors.errors import ConfigurationError


def page(result: Mapping[str, Any]) -> str:
    """The whole page of one benchmark's facts; without matplotlib it has no pictures, and says
    so."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(
        (files("inferencegraph.evaluate.report") / "page.html").read_text(encoding="utf-8")
    )
    try:
        require_charts()
        pictures = {"curve": cost_quality(result), "latency": latencies(result)}
        lacking = ""
    except ConfigurationError as fault:
        pictures, lacking = {"curve": None, "latency": None}, str(fault)
    columns = shown_columns(result)
    return template.render(
        result=result,
        columns=columns,
        cell=cell,
        style=style,
        all_metrics=METRICS,
        notes=list(notes(result)),
        verdict=verdict(result),
        pictures=pictures,
        lacking=lacking,
        categories=_categories(result),
    )


def _categories(result: Mapping[str, Any]) -> list[str]:
    """The largest first."""
    counts: dict[str, int] = {}
    for system in result["systems"]:
        for name, found in system["categories"].items():
            counts[name] = found["questions"]
    return sorted(counts, key=lambda name: (-counts[name], name))
