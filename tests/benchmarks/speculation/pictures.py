"""python -m tests.benchmarks.speculation.pictures [FOLDER]: docs/images/speculation-*.png

Of what the benchmarks `bench_speculative_*.py` have left in `results`: tokens a second over the
round trip, served tokens a second over the requests in a pass, and the curve itself. Marks are
measured, dashed lines are what the fitted cost model says.
"""

import sys
from pathlib import Path
from typing import Any, Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, ScalarFormatter
from PIL import Image

from tests.benchmarks.speculation.predicted import OneCaller, capacity, cost_of, one_caller
from tests.benchmarks.speculation.results import kept
from tests.conftest import ROOT

# Okabe and Ito's, which people who see few colours tell apart.
WAYS: Final = {
    "cloud-only": ("cloud alone", "#444444", "o"),
    "naive": ("naive", "#E69F00", "s"),
    "always": ("ours, always", "#0072B2", "D"),
    "one way": ("ours, no other ways", "#56B4E9", "v"),
    "latency": ("ours, policy latency", "#009E73", "^"),
}
SHARES: Final = {
    "cloud-only": ("the cloud alone", "#444444", "o"),
    "0.5": ("drafts, 0.5 right", "#CC79A7", "v"),
    "0.7": ("0.7", "#E69F00", "s"),
    "0.8": ("0.8", "#0072B2", "D"),
    "0.9": ("0.9", "#009E73", "^"),
}
MODELS: Final = {"16M": "16 million parameters", "long-cloud": "the long pair's, 1.8 million"}
DRAFTERS: Final = ("pair", "0.9", "0.7", "0.5")
SECOND: Final = 0.5  # of replayed drafts: how often the second choice is right
TRIPS: Final = range(101)
INK, FAINT, GRID = "#222222", "#767676", "#e4e4e4"
DASHED: Final = (0, (4, 2.5))
DPI: Final = 130
COLOURS: Final = 160
AIMS: Final = {1: 1.5, 4: 1.5, 8: 1.2}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draw_link(folder / "speculation-link.png")
    draw_capacity(folder / "speculation-capacity.png")
    draw_curve(folder / "speculation-curve.png")


def draw_link(path: Path) -> None:
    rows = kept("caller")
    model = one_caller(rows)
    figure = Figure(figsize=(10.2, 7.4), layout="constrained")
    axes = figure.subplots(2, 2, sharex=True)
    for place, drafter in zip(axes.flat, DRAFTERS, strict=True):
        _link_panel(place, drafter, [row for row in rows if row["drafter"] == drafter], model)
    for place in axes[1]:
        place.set_xlabel("round trip (ms)")
    for place in axes[:, 0]:
        place.set_ylabel("tokens a second, one caller")
    _legend(figure, WAYS)
    _save(figure, path)


def _link_panel(place: Axes, drafter: str, rows: list[dict[str, Any]], model: OneCaller) -> None:
    _frame(place)
    chance = rows[0]["chance"] if rows else float(drafter)
    second = rows[0]["second"] if rows else SECOND
    for way, (_, colour, mark) in WAYS.items():
        mine = [row for row in rows if row["way"] == way]
        trips, rates = ([row[name] for row in mine] for name in ("round_trip", "rate"))
        style = {"color": colour, "markersize": 7, "markeredgecolor": "white", "zorder": 4}
        place.plot(trips, rates, mark, **style)
        said = [model.expected(way, trip / 1000, chance, second) for trip in TRIPS]
        place.plot(TRIPS, said, color=colour, linewidth=1.5, linestyle=DASHED, zorder=3)
    whose = "the long pair's own drafts" if drafter == "pair" else "replayed drafts"
    title = f"{whose}: each right with chance {chance:.2f}"
    place.set_title(title, loc="left", fontsize=10.5, color=INK)
    place.set_ylim(bottom=0)
    place.set_xticks((0, 20, 50, 100))


def draw_capacity(path: Path) -> None:
    figure = Figure(figsize=(10.2, 7.4), layout="constrained")
    axes = figure.subplots(2, len(MODELS), sharex=True)
    for column, (name, title) in enumerate(MODELS.items()):
        report, curve = kept(f"capacity-{name}"), kept(f"curve-{name}")
        said = capacity(report, cost_of(curve), curve["decode"])
        counts = [int(rows) for rows in report["rows"]]
        above, below = axes[0][column], axes[1][column]
        _frame(above)
        _frame(below)
        alone = [_rate(report, rows, "cloud-only") for rows in counts]
        for way, (_, colour, mark) in SHARES.items():
            rates = [_rate(report, rows, way) for rows in counts]
            style = {"color": colour, "markersize": 7, "markeredgecolor": "white", "zorder": 4}
            dashes = {"color": colour, "linewidth": 1.5, "linestyle": DASHED}
            above.plot(counts, rates, mark, **style)
            above.plot(counts, [said[way][rows] for rows in counts], **dashes)
            if way != "cloud-only":
                times = [rate / own for rate, own in zip(rates, alone, strict=True)]
                expected = [said[way][rows] / said["cloud-only"][rows] for rows in counts]
                below.plot(counts, times, mark, **style)
                below.plot(counts, expected, **dashes)
        below.axhline(1, color=FAINT, linewidth=1)
        for rows, aim in AIMS.items():
            below.plot(
                [rows / 1.2, rows * 1.2], [aim, aim], color="#0072B2", linewidth=3, alpha=0.45
            )
        above.set_title(title, loc="left", fontsize=10.5, color=INK)
        below.set_xlabel("requests at once")
        for place in (above, below):
            _log2(place, counts)
            place.set_ylim(bottom=0)
    axes[0][0].set_ylabel("tokens a second served by one core")
    axes[1][0].set_ylabel("times the cloud alone")
    aim = Line2D([], [], color="#0072B2", linewidth=3, alpha=0.45, label="aim at 0.8")
    _legend(figure, SHARES, aim)
    _save(figure, path)


def draw_curve(path: Path) -> None:
    names = {"long-cloud": "1.8 million parameters", "16M": "16 million", "125M": "125 million"}
    colours = ("#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7")
    figure = Figure(figsize=(10.2, 3.9), layout="constrained")
    axes = figure.subplots(1, len(names))
    for place, (name, title) in zip(axes, names.items(), strict=True):
        curve = kept(f"curve-{name}")
        cost = cost_of(curve)
        _frame(place)
        counts = sorted({step[0] for step in curve["steps"]})
        for colour, rows in zip(colours, counts, strict=False):
            mine = [step for step in curve["steps"] if step[0] == rows]
            tokens = [step[1] for step in mine]
            place.plot(tokens, [1000 * step[2] for step in mine], "o", color=colour, markersize=5)
            said = [1000 * cost.seconds(rows, rows * count) for count in tokens]
            label = f"{rows} row" if rows == 1 else f"{rows} rows"
            place.plot(tokens, said, color=colour, linewidth=1.3, linestyle=DASHED, label=label)
        place.set_yscale("log")
        _log2(place, tokens)
        place.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        place.yaxis.set_major_formatter(ScalarFormatter())
        place.yaxis.set_minor_formatter(NullFormatter())
        error = f"fit: {curve['fit'][1]:.0%} off (median)"
        place.set_title(f"{title}\n{error}", loc="left", fontsize=10, color=INK)
        place.set_xlabel("tokens checked of each")
    axes[0].set_ylabel("milliseconds of a step, one core")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncol=6, frameon=False, fontsize=9)
    _save(figure, path)


def _rate(report: dict[str, Any], rows: int, way: str) -> float:
    return float(report["rows"][str(rows)][way]["tokens_per_second"])


def _frame(place: Axes) -> None:
    place.spines[["top", "right"]].set_visible(False)
    place.spines[["left", "bottom"]].set_color(FAINT)
    place.grid(color=GRID, linewidth=0.8)
    place.set_axisbelow(True)
    place.tick_params(colors=INK, labelsize=9)


def _log2(place: Axes, counts: list[int]) -> None:
    place.set_xscale("log", base=2)
    place.set_xticks(counts, [str(count) for count in counts])
    place.xaxis.set_minor_locator(NullLocator())


def _legend(figure: Figure, ways: dict[str, tuple[str, str, str]], *more: Line2D) -> None:
    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="", markersize=7, label=label)
        for label, colour, mark in ways.values()
    ]
    said = Line2D([], [], color=FAINT, linestyle=DASHED, label="predicted")
    handles = [*handles, said, *more]
    figure.legend(
        handles=handles, loc="outside lower center", ncol=len(handles), frameon=False, fontsize=9
    )


def _save(figure: Figure, path: Path) -> None:
    """With few colours, as a small file."""
    figure.savefig(path, dpi=DPI)
    picture = Image.open(path).convert("RGB")
    picture.quantize(COLOURS, method=Image.Quantize.FASTOCTREE).save(path, optimize=True)
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
