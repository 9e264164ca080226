"""The picture of docs/lifelong.md: what the serving router is worth on what comes next, over how
much feedback there was, as means over orders with 95% intervals."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
DRAWS = 4000
COLOURS = {"serving": "#1b5e9e", "challengers": "#3a9a6b", "bandit": "#c8452f"}
NAMES = {
    "serving": "serving router",
    "challengers": "each challenger, promoted or not",
    "bandit": "linear Thompson sampling",
}


def interval(values: Floats, seed: int = 0) -> tuple[float, float]:
    """95%, of the mean over orders, by a bootstrap of the orders."""
    rng = np.random.default_rng(seed)
    means = rng.choice(values, (DRAWS, len(values))).mean(axis=1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def recovered(start: Floats, end: Floats, informed: Floats) -> tuple[float, float, float]:
    """The share of the gap that is recovered, as a ratio of means over orders, and its 95%
    interval by a bootstrap of the orders."""
    gap, gain = informed - start, end - start
    draws = np.random.default_rng(0).integers(len(gap), size=(DRAWS, len(gap)))
    ratios = gain[draws].mean(axis=1) / gap[draws].mean(axis=1)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return float(gain.mean() / gap.mean()), float(low), float(high)


def draw(tables: Mapping[str, Sequence[Mapping[str, Any]]], out: Path) -> None:
    """`tables`: of each name its orders, as bench_lifelong reports them."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), dpi=110, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, orders) in zip(figure.subplots(1, len(tables)), tables.items(), strict=True):
        for kind, colour in COLOURS.items():
            starts = [[order["bandit_start" if kind == "bandit" else "start"]] for order in orders]
            values = np.hstack([starts, [order[kind] for order in orders]])
            count = np.mean([[0, *order["feedbacks"]] for order in orders], axis=0)
            ends = np.array([interval(column) for column in values.T])
            axes.plot(count, values.mean(axis=0), color=colour, label=NAMES[kind], linewidth=2)
            axes.fill_between(count, ends[:, 0], ends[:, 1], color=colour, alpha=0.12, linewidth=0)
        informed = np.mean([order["informed"] for order in orders])
        label = "knows both sides of everything"
        axes.axhline(informed, color="#333333", linestyle=(0, (5, 3)), label=label)
        shift = np.mean([order["shift"] for order in orders])
        axes.axvline(shift, color="#999999", linewidth=0.9)
        axes.set_title(f"{name} ({len(orders)} orders)", loc="left")
        axes.set_xlabel("rows of feedback so far (grey line: the topic shifts)")
        axes.set_ylabel("APGR on what comes next")
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=8, loc="lower right")
    figure.savefig(out)
