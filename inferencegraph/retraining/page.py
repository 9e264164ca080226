"""The report of one retraining: one HTML file that needs no other."""

from importlib.resources import files
from typing import Any, Final

from jinja2 import Environment, StrictUndefined

from inferencegraph.evaluate.report.charts import (
    FAINT,
    as_svg,
    new_axes,
    require_charts,
    style,
)
from predictors.errors import ConfigurationError
from transformers_hem.retraining.outcome import Outcome
from transformers_hem.versions.folder import Versions
from transformers_hem.versions.told import CHECKED, told

# Kinds of rows, and what training measured, in words.
ROWS: Final = {
    "base": "labelled rows (--data)",
    "shadow": "shadow pairs",
    "explicit": "users' feedback",
    "implicit": "signals",
}
MEASURED: Final = {
    "apgr": "APGR: 1 is the best order of the queries, 0.5 a coin's",
    "auroc": "AUROC: a hard query scores above an easy one",
    "cpt50": "CPT(50%): share of cloud calls for half of the gap",
    "cpt80": "CPT(80%): the same for 80% of it",
    "ece": "ECE: expected calibration error",
    "accuracy": "accuracy of what is called hard, at the threshold",
    "precision": "its precision",
    "recall": "its recall",
    "f1": "its F1",
    "edge_quality": "quality of the edge alone",
    "cloud_quality": "quality of the cloud alone",
    "hard_share": "share of hard queries",
    "edge_share": "share at the edge, at the threshold",
    "ece_before": "ECE before scores were made probabilities",
    "rows": "rows that it was measured on",
    "threshold": "training's own threshold",
    "routed_quality": "quality of what is served, at the threshold",
}


def page(outcome: Outcome, versions: Versions) -> str:
    """Without matplotlib it has no picture, and says so."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["moment"] = _moment
    template = environment.from_string(
        (files("inferencegraph.retraining") / "page.html").read_text(encoding="utf-8")
    )
    try:
        require_charts()
        picture, lacking = (_curves(outcome) if any(outcome.curves.values()) else None), ""
    except ConfigurationError as fault:
        picture, lacking = None, str(fault)
    pointer = versions.pointer
    return template.render(
        outcome=outcome,
        picture=picture,
        lacking=lacking,
        rows=[(ROWS.get(kind, kind), count) for kind, count in outcome.rows.items()],
        compared=_compared(outcome.compared),
        drift=_drift(outcome.drift),
        training=[(MEASURED.get(n, n), _shown(value)) for n, value in outcome.training.items()],
        live=str(told(versions.folder, CHECKED).get("sentence", "")),
        versions=[versions.read(number) for number in versions.numbers()],
        current=pointer.current if pointer else None,
        switches=list(reversed(pointer.switches[-20:])) if pointer else [],
    )


def _moment(at: str) -> str:
    """Of ISO 8601 in UTC."""
    return f"{at[:16].replace('T', ' ')} UTC" if at.endswith("+00:00") else at


def _compared(facts: dict[str, Any]) -> list[tuple[str, str]]:
    """Differences are challenger minus champion, with their intervals."""
    found = [("rows, and those of which both sides were seen", "{rows:,}, {pairs:,}")]
    if facts.get("apgr_gain") is not None:
        found.append(
            (
                "APGR, challenger minus champion (more is better)",
                "{apgr_gain:+.4f} ({apgr_low:+.4f} to {apgr_high:+.4f})",
            )
        )
    if facts.get("cost_gain") is not None:
        found.append(
            (
                "queries to the cloud for the same quality (less is better)",
                "{cost_gain:+.1%} ({cost_low:+.1%} to {cost_high:+.1%})",
            )
        )
    if facts.get("significance") is not None:
        found.append(("error at each end of these intervals", "{significance:g}"))
    return [(name, shown.format_map(facts)) for name, shown in found] if facts else []


def _drift(facts: dict[str, Any]) -> str:
    """Of the newest queries; empty where the champion has no spread to compare them with."""
    if not facts:
        return ""
    index = "unknown" if facts["index"] is None else f"{facts['index']:.3f}"
    verdict = "they have changed" if facts["drifted"] else "they are as they were"
    return f"{index}, an alarm above {facts['alarm']:.3f}: {verdict}"


def _shown(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _curves(outcome: Outcome) -> str:
    """Mean quality over the share of queries that go to the cloud."""
    figure, axes = new_axes(7.2, 4.2)
    ends = next(iter(outcome.curves.values()))
    axes.plot(
        [0, 100],
        [ends[0][1], ends[-1][1]],
        color=FAINT,
        linewidth=1.3,
        linestyle=(0, (5, 3)),
        label="a coin",
    )
    for index, (name, points) in enumerate(outcome.curves.items()):
        color, mark = style(index)
        axes.plot(
            [100 * share for share, _ in points],
            [quality for _, quality in points],
            color=color,
            marker=mark,
            markevery=10,
            linewidth=1.8,
            label=name,
        )
    axes.set_xlabel("queries that go to the cloud (%)")
    axes.set_ylabel("mean quality")
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return as_svg(figure, "Quality of champion and challenger on the newest pairs")
