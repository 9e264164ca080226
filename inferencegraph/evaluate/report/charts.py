"""The report's pictures, as SVG with text that can be read, found and scaled."""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's (2008), which people who see few colours tell apart; each with a mark of its own.
COLORS: Final = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS: Final = ("o", "s", "^", "D", "v", "P", "X")
INK, FAINT, GRID = "#222222", "#767676", "#e4e4e4"
_MOST_CURVES: Final = len(COLORS)


def require_charts() -> None:
    """Raises ConfigurationError where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigurationError(
            "the report's pictures need matplotlib: pip install 'kserve-hem[plot]'"
        ) from error


def style(index: int) -> tuple[str, str]:
    """Color and mark of a system, by its place in the ranking."""
    return COLORS[index % len(COLORS)], MARKS[index % len(MARKS)]


def cost_quality(result: Mapping[str, Any]) -> str:
    """Quality over the share of queries that go to the cloud: every system a point with its
    interval, every router with scores a curve, beside a coin and the oracle."""
    figure, axes = new_axes(7.2, 4.6)
    sides, scale = result["sides"], 100.0 if result["sides"]["binary"] else 1.0
    oracle = sides["oracle"]
    axes.plot(
        [100 * x for x, _ in oracle],
        [scale * y for _, y in oracle],
        color=FAINT,
        linewidth=1.3,
        linestyle=":",
        label="oracle: the best order there is",
    )
    ends = [scale * sides["edge"], scale * sides["cloud"]]
    axes.plot([0, 100], ends, color=FAINT, linewidth=1.3, linestyle=(0, (5, 3)), label="a coin")
    curves = 0
    for index, system in enumerate(result["systems"]):
        color, mark = style(index)
        if len(set(map(tuple, system["curve"]))) > 2 and curves < _MOST_CURVES and _learned(system):
            points = system["curve"]
            axes.plot(
                [100 * x for x, _ in points],
                [scale * y for _, y in points],
                color=color,
                linewidth=1.6,
                alpha=0.9,
            )
            curves += 1
        _point(axes, system, scale, color, mark)
    axes.set_xlim(-3, 103)
    axes.set_xlabel("queries that go to the cloud (%)")
    axes.set_ylabel("quality (%)" if scale > 1 else "mean score")
    axes.legend(frameon=False, fontsize=8, loc="best", labelspacing=0.5)
    return as_svg(figure, "Quality over the share of queries that go to the cloud")


def _learned(system: Mapping[str, Any]) -> bool:
    return system["kind"] not in ("OracleRouter", "Random", "RandomRouter")


def _point(axes: "Axes", system: Mapping[str, Any], scale: float, color: str, mark: str) -> None:
    quality, share = system["metrics"]["quality"], system["metrics"]["edge_share"]["value"]
    value = scale * quality["value"]
    below = value - scale * quality.get("low", quality["value"])
    above = scale * quality.get("high", quality["value"]) - value
    axes.errorbar(
        100 * (1 - share),
        value,
        yerr=[[max(0.0, below)], [max(0.0, above)]],
        fmt=mark,
        color=color,
        markersize=7,
        markeredgecolor="white",
        elinewidth=1.2,
        capsize=3,
        label=system["name"],
        zorder=5,
    )


def latencies(result: Mapping[str, Any]) -> str | None:
    """The share of answers that are there after so many seconds; None where no time is known."""
    known = [(i, s) for i, s in enumerate(result["systems"]) if s["latency"]]
    if not known:
        return None
    figure, axes = new_axes(7.2, 3.6)
    for index, system in known[:_MOST_CURVES]:
        color, mark = style(index)
        axes.plot(
            system["latency"],
            range(len(system["latency"])),
            color=color,
            linewidth=1.8,
            linestyle="-" if system["measured"] else (0, (4, 2)),
            marker=mark,
            markevery=20,
            markersize=5,
            markeredgecolor="white",
            label=system["name"],
        )
    largest = max(system["latency"][-2] for _, system in known)
    axes.set_xlim(0, 1.05 * largest)
    axes.set_ylim(0, 101)
    axes.set_xlabel("seconds until the whole answer is there")
    axes.set_ylabel("answers (%)")
    axes.legend(frameon=False, fontsize=8, loc="lower right")
    return as_svg(figure, "Latency of each system")


def new_axes(width: float, height: float) -> "tuple[Figure, Axes]":
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)
    return figure, axes


def as_svg(figure: "Figure", title: str) -> str:
    """Without what would be another file's, the same bytes for the same facts."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    text = io.StringIO()
    fonts: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": title,
        "font.family": "sans-serif",
    }
    with matplotlib.rc_context(fonts):
        FigureCanvasSVG(figure)
        figure.savefig(
            text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True
        )
    svg = text.getvalue()
    svg = svg[svg.index("<svg") :]
    return svg.replace("<svg ", f'<svg role="img" aria-label="{title}" ', 1)
