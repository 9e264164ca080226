"""python -m tests.monitoring.pictures [FOLDER]: docs/dashboard.png, docs/trace.png, of a real run.

The panels are drawn of what Prometheus answers to their queries; Grafana itself is not needed. The
trace is drawn of the spans that the processes exported.
"""

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from PIL import Image

from manifests.monitoring.workshop.panels import ROWS, Panel
from predictors.contract import CLOUD, text_request
from predictors.embedded.workshop.questions import test_questions as shipped_questions
from tests.conftest import ROOT
from tests.monitoring.prometheus import Prometheus
from tests.monitoring.scenario import Site, outage, site, traffic
from tests.telemetry import Collector, Exported

TRACE, CALLER = "7" * 32, "00f067aa0ba902b7"
MOST_BYTES: Final = 150_000
SECONDS, STEP = 75, 1.0
COLUMNS, LEGENDS = 3, 5
UNITS: Final = {"s": "seconds", "reqps": "a second", "percentunit": "share", "Bps": "bytes/s"}
COLOURS: Final = ("#1f6feb", "#d1570c", "#2e8b57", "#8250df", "#b0304a", "#6e7781", "#bf8700")


def main(folder: Path) -> None:
    with (
        tempfile.TemporaryDirectory() as scratch,
        Collector() as collector,
        site(Path(scratch), env=collector.environment) as watched,
    ):
        began = time.monotonic()
        while time.monotonic() - began < SECONDS * 0.6:
            traffic(watched)
        body = text_request([_hard(watched)], {"temperature": 0})
        headers = {"traceparent": f"00-{TRACE}-{CALLER}-01"}
        httpx.post(watched.hem.url, json=body, headers=headers, timeout=60).raise_for_status()
        time.sleep(2)  # until all processes have sent theirs
        spans = collector.trace(TRACE)
        outage(watched)
        while time.monotonic() - began < SECONDS:
            watched.chat("2 + 2?", stream=True)
            watched.ask("3 + 4?")
        draw_panels(watched.prometheus, folder / "dashboard.png")
    draw_trace(spans, folder / "trace.png")


def _hard(watched: Site) -> str:
    """A question that the algorithm sends to the cloud."""
    for question in shipped_questions():
        if watched.ask(question.query).json()["parameters"]["hem_route"] == CLOUD:
            return question.query
    raise AssertionError("all questions are easy")


def draw_panels(prometheus: Prometheus, path: Path) -> None:
    panels = [(title, panel) for title, row in ROWS.items() for panel in row]
    rows = sum(-(-len(row) // COLUMNS) for row in ROWS.values())
    figure, axes = plt.subplots(rows, COLUMNS, figsize=(14, 2.1 * rows))
    figure.subplots_adjust(0.05, 0.03, 0.99, 0.985, wspace=0.2, hspace=0.75)
    for each in axes.flat:
        each.set_visible(False)
    number, last = 0, ""
    for title, panel in panels:
        if title != last:
            number = -(-number // COLUMNS) * COLUMNS
        place: Axes = axes.flat[number]
        place.set_visible(True)
        _draw(place, panel, prometheus)
        head = f"{title.upper()}   " if title != last else ""
        place.set_title(f"{head}{panel.title}", loc="left", fontsize=9, weight="bold")
        number, last = number + 1, title
    _save(figure, path)


def _draw(place: Axes, panel: Panel, prometheus: Prometheus) -> None:
    place.tick_params(labelsize=7)
    place.spines[["top", "right"]].set_visible(False)
    place.set_ylabel(UNITS.get(panel.unit, ""), fontsize=7)
    found = [
        (query.legend, series)
        for query in panel.queries
        for series in prometheus.asked_over(_expression(query.expression), SECONDS, STEP)
    ]
    if panel.kind == "heatmap":
        return _draw_heatmap(place, [series for _, series in found])
    if panel.kind == "stat":
        return _draw_numbers(place, [(_named(legend, s), s["values"]) for legend, s in found])
    for number, (legend, series) in enumerate(found):
        times, values = _points(series["values"])
        shown = _named(legend, series) if number < LEGENDS else None
        colour = COLOURS[number % len(COLOURS)]
        place.plot(times, values, color=colour, linewidth=1, label=shown, antialiased=False)
    place.set_ylim(bottom=0)
    place.set_xlim(-SECONDS, 0)
    below = {"loc": "upper left", "bbox_to_anchor": (0, -0.12), "ncol": 2}
    place.legend(fontsize=6, frameon=False, **below)


def _draw_heatmap(place: Axes, series: Sequence[Mapping[str, Any]]) -> None:
    ordered = sorted(series, key=lambda each: float(each["metric"]["le"]))
    columns = [dict(map(_point, each["values"])) for each in ordered]
    times = sorted({at for column in columns for at in column})
    table = np.array([[column.get(at, 0.0) for at in times] for column in columns])
    counts = np.diff(table, axis=0, prepend=0)[:-1]
    place.imshow(counts, aspect="auto", origin="lower", cmap="Blues", extent=(-SECONDS, 0, 0, 1))


def _draw_numbers(place: Axes, numbers: Sequence[tuple[str, Sequence[Any]]]) -> None:
    place.axis("off")
    for row, (name, values) in enumerate(numbers[:4]):
        known = [value for _, value in map(_point, values) if value == value]
        text = f"{known[-1]:.0f}" if known and known[-1] > 1e6 else f"{known[-1]:.3g}"
        place.text(0.02, 0.75 - 0.22 * row, text, fontsize=13, color=COLOURS[0])
        place.text(0.45, 0.75 - 0.22 * row, name[-40:], fontsize=7)


def _expression(expression: str) -> str:
    return expression.replace("$__rate_interval", "10s").replace("$job", ".*")


def _named(legend: str, series: Mapping[str, Any]) -> str:
    for name, value in series["metric"].items():
        short = Path(str(value)).name if name == "ledger" else str(value)
        legend = legend.replace(f"{{{{{name}}}}}", short)
    return legend[:48]


def _point(value: Sequence[Any]) -> tuple[float, float]:
    return float(value[0]), float(value[1])


def _points(values: Sequence[Any]) -> tuple[list[float], list[float]]:
    now = time.time()
    return [float(at) - now for at, _ in values], [float(value) for _, value in values]


def draw_trace(spans: Sequence[Exported], path: Path) -> None:
    rows = list(_in_order(spans, CALLER, 0))
    services = list(dict.fromkeys(span.service for span, _ in rows))
    start = min(span.began for span in spans)
    figure, place = plt.subplots(figsize=(13, 0.42 * len(rows) + 1.1), layout="constrained")
    whole = (max(span.ended for span in spans) - start) / 1e6
    for row, (span, depth) in enumerate(rows):
        begin, length = (span.began - start) / 1e6, (span.ended - span.began) / 1e6
        colour = COLOURS[services.index(span.service) % len(COLOURS)]
        place.barh(row, max(length, whole / 500), left=begin, color=colour, height=0.62)
        about = f"{length:.1f} ms  {_told(span)}"
        place.text(begin + length + whole / 200, row, about, va="center", fontsize=8)
        name = f"{'    ' * depth}{span.service}  {span.name}"
        place.text(-whole * 0.62, row, name, va="center", fontsize=8.5, family="DejaVu Sans Mono")
    place.set_xlim(-whole * 0.63, whole * 1.4)
    place.set_ylim(len(rows) - 0.4, -0.7)
    place.set_yticks([])
    place.set_xlabel("milliseconds since the request", fontsize=8)
    place.set_xticks([tick for tick in place.get_xticks() if 0 <= tick <= whole])
    place.spines[["top", "right", "left"]].set_visible(False)
    _save(figure, path)


def _in_order(spans: Sequence[Exported], parent: str, depth: int) -> Any:
    for span in spans:
        if span.parent == parent:
            yield span, depth
            yield from _in_order(spans, span.id, depth + 1)


def _told(span: Exported) -> str:
    told = {
        "hem.route": "route {}",
        "hem.score": "score {:.2f}",
        "hem.reason": "reason {}",
        "http.response.status_code": "{}",
        "gen_ai.usage.input_tokens": "{} tokens in",
        "gen_ai.usage.output_tokens": "{} out",
    }
    return ", ".join(
        text.format(span.attributes[name]) for name, text in told.items() if name in span.attributes
    )


def _save(figure: Any, path: Path) -> None:
    """With a few colours, as a small file."""
    figure.savefig(path, dpi=90)
    plt.close(figure)
    Image.open(path).convert("RGB").quantize(40, method=Image.Quantize.MAXCOVERAGE).save(
        path, optimize=True
    )
    size = path.stat().st_size
    print(f"{path}: {size} bytes")
    assert size < MOST_BYTES, path


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs")
