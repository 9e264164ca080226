"""The cost-quality curve of a router: what each share of cloud calls buys."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from predictors.errors import ConfigurationError
from transformers_hem.calibration.sample import Sample
from transformers_hem.evaluation.metrics import ScoredRows, apgr, cpt, edge_share, routed_quality
from transformers_hem.evaluation.quality import curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg", ".pdf")
PAPER = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
INK, ROUTER, ORACLE, CHOSEN = "#333333", "#1b5e9e", "#3a9a6b", "#c8452f"


def require_plot(out: Path) -> None:
    """Raises ConfigurationError where `out` is not a picture's name, its folder is missing, or
    matplotlib is."""
    if out.suffix not in SUFFIXES:
        raise ConfigurationError(f"{out}: a plot's name must end in {', '.join(SUFFIXES)}")
    if not out.parent.is_dir():
        raise ConfigurationError(f"{out} can't be written: {out.parent} is not a directory")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise ConfigurationError("plots need matplotlib: pip install 'kserve-hem[plot]'") from error


def plot_sample(sample: Sample, threshold: float, name: str, out: Path) -> None:
    """Draws a calibration's rows. Raises ConfigurationError where they have no labels."""
    if sample.labels is None:
        raise ConfigurationError(f"{sample.path} has no labels, so there is no quality to plot")
    labels = sample.labels
    scores = np.minimum(sample.scores, 1.0)  # no signal: the hardest
    plot_curve(ScoredRows(scores, threshold, labels.edge, labels.cloud, labels.hard), name, out)


def plot_curve(rows: ScoredRows, name: str, out: Path) -> None:
    """Quality over the share of cloud calls, beside random routing and an oracle that knows both
    answers: the best order there is, not the best that could be without calling both models.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    require_plot(out)
    figure = Figure(figsize=(7.2, 4.8), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    percent = bool(np.isin([rows.edge, rows.cloud], (0, 1)).all())
    scale = 100.0 if percent else 1.0
    _draw_curves(axes, rows, name, scale)
    _draw_points(axes, rows, scale)
    _frame(axes, rows, name, "accuracy (%)" if percent else "mean score")
    figure.savefig(out)


def _draw_curves(axes: "Axes", rows: ScoredRows, name: str, scale: float) -> None:
    shares = np.linspace(100, 0, len(rows.scores) + 1)
    edge, cloud = rows.edge, rows.cloud
    best = scale * curve(cloud - edge, edge, cloud)
    axes.plot(shares, best, color=ORACLE, linewidth=1.6, label="oracle")
    routed = scale * curve(rows.scores, edge, cloud)
    axes.plot(shares, routed, color=ROUTER, linewidth=2.4, label=name or "router")
    ends = [scale * edge.mean(), scale * cloud.mean()]
    axes.plot([0, 100], ends, color="#888888", linewidth=1.4, linestyle=(0, (5, 3)), label="random")


def _draw_points(axes: "Axes", rows: ScoredRows, scale: float) -> None:
    low, high = scale * rows.edge.mean(), scale * rows.cloud.mean()
    axes.plot([0, 100], [low, high], "o", color=INK, markersize=6, zorder=5, clip_on=False)
    _note(axes, (0, low), "edge only", (9, -5), INK, "left")
    _note(axes, (100, high), "cloud only", (-4, -17), INK, "right")
    for level in (0.5, 0.8) if high > low else ():
        share, wanted = 100 * cpt(rows, level), low + level * (high - low)
        axes.vlines(share, 0, wanted, color=ROUTER, linewidth=0.9, linestyle=":")
        axes.hlines(wanted, 0, share, color=ROUTER, linewidth=0.9, linestyle=":")
        axes.plot(share, wanted, "D", color="white", markeredgecolor=ROUTER, markersize=6, zorder=4)
        text = f"CPT({level:.0%}) {share:.1f} %"
        _note(axes, (share, wanted), text, (10, -12), ROUTER, "left")
    x, y = 100 * (1 - edge_share(rows)), scale * routed_quality(rows)
    label = f"threshold {rows.threshold:.3g}"
    axes.plot(x, y, "*", color=CHOSEN, markersize=14, zorder=6, label=label, markeredgewidth=0)


def _note(
    axes: "Axes",
    point: tuple[float, float],
    text: str,
    offset: tuple[int, int],
    color: str,
    side: Literal["left", "right"],
) -> None:
    """Text beside a point, legible where it lies on a line."""
    axes.annotate(
        text, point, offset, textcoords="offset points", color=color, ha=side, bbox=PAPER, zorder=3
    )


def _frame(axes: "Axes", rows: ScoredRows, name: str, measured: str) -> None:
    lines = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in axes.lines])
    room = 0.06 * (np.ptp(lines) or 1.0)
    axes.set_ylim(lines.min() - 1.6 * room, lines.max() + room)
    axes.set_xlim(-2, 102)
    axes.set_xlabel("share of queries sent to the cloud (%)", color=INK)
    axes.set_ylabel(measured, color=INK)
    value = apgr(rows)
    apgr_note = f", APGR {value:.3f}" if np.isfinite(value) else ""
    axes.set_title(
        f"{name}: {len(rows.scores):,} queries{apgr_note}", color=INK, loc="left", pad=10
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#e6e6e6", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK)
    axes.legend(frameon=False, loc="lower right")
