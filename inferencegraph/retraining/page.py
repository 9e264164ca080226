"""The report of one retraining: one HTML file that needs no other."""

from importlib.resources import files
from typing import Any

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


def page(outcome: Outcome, versions: Versions) -> str:
    """Without matplotlib it has no picture, and says so."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
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
        compared=_flat(outcome.compared),
        training=_flat(outcome.training),
        versions=[versions.read(number) for number in versions.numbers()],
        current=pointer.current if pointer else None,
        switches=list(reversed(pointer.switches[-20:])) if pointer else [],
    )


def _flat(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, _shown(value)) for name, value in facts.items()]


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
