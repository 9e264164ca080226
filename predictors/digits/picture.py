"""Draws easy and hard digits: `python -m predictors.digits.picture docs/digit-recognition.png`."""

import json
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import onnxruntime
import typer
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from numpy.typing import NDArray

from predictors.digits import FILES, model_file
from predictors.digits.data import Digits, split
from predictors.digits.threshold import doubt

ROWS, COLUMNS = 3, 6
EDGE_COLOR, CLOUD_COLOR = "#2a7f62", "#b4532a"
WRONG, QUIET, INK = "#c62828", "#6b7280", "#1f2937"
SEED: Final = 1  # of the sample of easy digits


def draw(test: Digits, limit: float) -> Figure:
    edge, cloud = probabilities("digits:edge", test), probabilities("digits:cloud", test)
    doubts = doubt(edge)
    hardest = np.argsort(-doubts)[: ROWS * COLUMNS]
    easy = np.flatnonzero(doubts <= limit)
    some = np.random.default_rng(SEED).choice(easy, ROWS * COLUMNS, replace=False)
    share = len(easy) / len(test)
    figure = Figure(figsize=(10, 5.4), facecolor="white")
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 2, height_ratios=[3, 1], hspace=0.05, wspace=0.03)
    left, right = (figure.add_subfigure(grid[0, column]) for column in (0, 1))
    _digits(
        left,
        f"Easy: {share:.0%} stay at the edge",
        EDGE_COLOR,
        test.rows(some),
        [edge[some].argmax(axis=1)],
    )
    _digits(
        right,
        f"Hard: {1 - share:.0%} go to the cloud (edge → cloud)",
        CLOUD_COLOR,
        test.rows(hardest),
        [edge[hardest].argmax(axis=1), cloud[hardest].argmax(axis=1)],
    )
    _doubts(
        figure.add_axes((0.07, 0.10, 0.91, 0.15)), doubts, edge.argmax(axis=1) == test.labels, limit
    )
    return figure


def probabilities(model: str, digits: Digits) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(
        str(model_file(model)), providers=["CPUExecutionProvider"]
    )
    found: NDArray[np.float32] = session.run(None, {"image": digits.images})[0]
    return found


def _digits(
    figure: SubFigure, title: str, color: str, digits: Digits, answers: list[NDArray[np.int64]]
) -> None:
    """Each image over what the models answered; a wrong answer is red."""
    figure.suptitle(title, color=color, fontsize=14, fontweight="bold")
    spaces = {"left": 0.02, "right": 0.98, "bottom": 0.08, "top": 0.87, "hspace": 0.42}
    cells = figure.subplots(ROWS, COLUMNS, gridspec_kw=spaces).ravel()
    for number, cell in enumerate(cells):
        cell.imshow(digits.images[number], cmap="gray_r", vmin=0, vmax=16)
        cell.set(xticks=[], yticks=[])
        for spine in cell.spines.values():
            spine.set_color("#d1d5db")
        said = [int(each[number]) for each in answers]
        _caption(cell, said, int(digits.labels[number]))


def _caption(cell: Axes, said: list[int], label: int) -> None:
    """`3`, or `5 → 9` where the cloud was asked too."""
    places = [0.5] if len(said) == 1 else [0.22, 0.78]
    for place, digit in zip(places, said, strict=True):
        right = digit == label
        cell.text(
            place,
            -0.06,
            str(digit),
            transform=cell.transAxes,
            ha="center",
            va="top",
            fontsize=12,
            color=INK if right else WRONG,
            fontweight="normal" if right else "bold",
        )
    if len(said) > 1:
        cell.text(
            0.5,
            -0.06,
            "→",
            transform=cell.transAxes,
            ha="center",
            va="top",
            color=QUIET,
            fontsize=11,
        )


def _doubts(
    axes: Axes, doubts: NDArray[np.float64], right: NDArray[np.bool_], limit: float
) -> None:
    """How doubtful the edge model is, where it is right and where it is wrong."""
    bins = [float(each) for each in np.linspace(0, doubts.max(), 60)]
    axes.hist(doubts[right], bins, color="#9fcbb9", label="edge right")
    axes.hist(doubts[~right], bins, color=WRONG, label="edge wrong", alpha=0.85)
    axes.axvline(limit, color=INK, linewidth=1.2)
    axes.text(limit, 0.9, f"  threshold {limit:g}", transform=axes.get_xaxis_transform(), va="top")
    axes.set_yscale("log")
    axes.set_xlim(0, float(doubts.max()))
    axes.set_xlabel("doubt of the edge model: entropy of its probabilities, 0 to 1", color=QUIET)
    axes.set_ylabel("images", color=QUIET)
    axes.legend(frameon=False, loc="upper right", ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(colors=QUIET)


def _main(out: Annotated[Path, typer.Argument(help="A .png or .svg file.")]) -> None:
    """Needs matplotlib: pip install 'kserve-hem[plot]'."""
    card = json.loads((FILES["edge"].parents[1] / "training.json").read_text(encoding="utf-8"))
    _, test = split()
    draw(test, card["threshold"]).savefig(out, dpi=110)


if __name__ == "__main__":
    typer.run(_main)
