"""The cost-quality curve as a picture."""

from pathlib import Path

import numpy as np
import pytest

from predictors.errors import ConfigurationError
from transformers_hem.evaluation.curve_plot import plot_curve
from transformers_hem.evaluation.metrics import ScoredRows


def scored(edge: float, cloud: float, scale: float = 1) -> ScoredRows:
    rng = np.random.default_rng(0)
    right = [scale * (rng.random(400) < share) for share in (edge, cloud)]
    return ScoredRows(rng.random(400), 0.4, right[0], right[1], right[1] > right[0])


def texts(out: Path) -> str:
    """What an SVG says, with its text as text."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none"}):
        plot_curve(scored(0.5, 0.8), "my-router", out)
    return out.read_text()


def test_it_shows_the_router_beside_a_coin_an_oracle_and_both_ends(tmp_path: Path) -> None:
    shown = texts(tmp_path / "curve.svg")
    for text in ("my-router", "random", "oracle", "edge only", "cloud only", "threshold 0.4"):
        assert f">{text}<" in shown
    for text in ("my-router: 400 queries, APGR 0.", "CPT(50%)", "CPT(80%)", "accuracy (%)"):
        assert text in shown


@pytest.mark.parametrize("table", [scored(0.9, 0.3), scored(0.5, 0.5), scored(0.2, 0.9, scale=10)])
def test_any_pair_can_be_drawn(tmp_path: Path, table: ScoredRows) -> None:
    out = tmp_path / "curve.png"
    plot_curve(table, "my-router", out)
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["curve.txt", "missing/curve.png"])
def test_a_picture_that_can_not_be_written_is_refused_first(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError, match=name.split("/")[-1]):
        plot_curve(scored(0.5, 0.8), "my-router", tmp_path / name)
