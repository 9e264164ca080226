"""The HTML report: what it says, and how it looks in a real browser."""

import asyncio
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from inferencegraph.evaluate.benchmark import Benchmark
from inferencegraph.evaluate.report import page
from inferencegraph.evaluate.report.charts import COLORS
from inferencegraph.evaluate.report.verdict import verdict
from inferencegraph.evaluate.result import facts
from inferencegraph.evaluate.run import run
from tests.browser import measured, printed

SCRIPT = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("report")
    random = np.random.default_rng(1)
    rows = [
        {
            "query": f"{SCRIPT} question {n}",
            "subject": "sums" if n % 2 else "words",
            "edge_correct": bool(random.random() < 0.6),
            "cloud_correct": bool(random.random() < 0.9),
            "edge_answer": f"{n} & more",
            "cloud_answer": str(n),
            "edge_latency": float(random.exponential(0.2)),
            "cloud_latency": float(random.exponential(1.0)),
            "edge_mean_logprob": -float(random.exponential(0.3)),
        }
        for n in range(300)
    ]
    path = folder / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    systems = [
        "EdgeOnly",
        "CloudOnly",
        "OracleRouter",
        {"algorithm": "ConfidenceRouter", "threshold": 0.4},
    ]
    benchmark = Benchmark.model_validate(
        {"name": "a <b>enchmark</b>", "data": path, "systems": systems}
    )
    return facts(asyncio.run(run(benchmark, folder / "out")))


@pytest.fixture(scope="module")
def report(result: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(page(result), encoding="utf-8")
    return path


class Loads(HTMLParser):
    """What a page would fetch, and what it would run."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.scripts = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        for name, value in attrs:
            if name in ("src", "href", "xlink:href", "data") and not (value or "").startswith("#"):
                self.addresses.append(f"{tag} {name}={value}")


def test_the_page_needs_no_other_file_and_runs_nothing(report: Path) -> None:
    loads = Loads()
    loads.feed(report.read_text())
    assert loads.addresses == []
    assert loads.scripts == 0  # what a question holds is text
    assert "&lt;script&gt;" in report.read_text()
    assert not re.search(r"url\((?!#)", report.read_text())


def test_the_same_facts_give_the_same_page(result: dict[str, Any], report: Path) -> None:
    assert page(result) == report.read_text()


def test_every_figure_of_the_table_is_on_the_page(result: dict[str, Any], report: Path) -> None:
    text = report.read_text()
    for system in result["systems"]:
        assert f"{system['metrics']['quality']['value']:.3f}" in text
        assert f"{system['metrics']['edge_share']['value']:.1%}" in text


def test_the_verdict_says_what_is_kept_and_beside_what(result: dict[str, Any]) -> None:
    pair, router = verdict(result)
    metrics = result["runs"]["ConfidenceRouter"]
    assert f"{result['sides']['edge']:.1%}" in pair and f"{result['sides']['cloud']:.1%}" in pair
    assert f"keeps {metrics['edge_share']:.1%} of the questions at the edge" in router
    assert "a coin that sends as many to the cloud" in router


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.8, 0.9, "It is better than"), (0.5, 0.6, "It is worse than"), (0.7, 0.8, "can't be told")],
)
def test_a_router_is_compared_with_a_coin(
    result: dict[str, Any], low: float, high: float, said: str
) -> None:
    (system,) = [s for s in result["systems"] if s["name"] == "ConfidenceRouter"]
    figures = {"quality": {"value": (low + high) / 2, "low": low, "high": high}}
    made = {**system, "metrics": {**system["metrics"], **figures, "edge_share": {"value": 0.5}}}
    sides = {**result["sides"], "edge": 0.6, "cloud": 0.9}  # the coin has 0.75
    assert said in verdict({**result, "sides": sides, "systems": [made]})[1]


def test_without_a_picture_library_the_page_says_so(
    result: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    assert "pip install &#39;kserve-hem[plot]&#39;" in page(result)


@pytest.mark.system
@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_of_the_page_is_wider_than_the_screen(
    report: Path, width: int, tmp_path: Path
) -> None:
    facts = measured(
        report,
        width,
        "({page: document.documentElement.scrollWidth, window: window.innerWidth, "
        "pictures: Array.from(document.querySelectorAll('svg'))"
        ".map(s => s.getBoundingClientRect().width), "
        "rows: document.querySelectorAll('#leaderboard tbody tr').length, "
        "font: parseFloat(getComputedStyle(document.body).fontSize)})",
        tmp_path,
    )
    assert facts["page"] <= facts["window"] == width
    assert len(facts["pictures"]) == 2
    assert all(200 < each <= width for each in facts["pictures"])
    assert facts["rows"] == 4
    assert facts["font"] >= 14


@pytest.mark.system
def test_the_page_prints(report: Path, tmp_path: Path) -> None:
    content = printed(report, tmp_path)
    assert content.startswith(b"%PDF")
    assert 1 <= len(re.findall(rb"/Type\s*/Page[^s]", content)) <= 12


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _seen(color: str, lacking: str) -> np.ndarray[Any, Any]:
    """By who lacks one kind of cones, in linear RGB: Viénot, Brettel and Mollon (1999)."""
    rgb = np.array([_linear(int(color[i : i + 2], 16) / 255) for i in (1, 3, 5)])
    matrix = {
        "red": [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]],
        "green": [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]],
    }[lacking]
    return np.array(matrix) @ rgb


@pytest.mark.parametrize("lacking", ["red", "green"])
def test_colors_can_be_told_apart_without_one_kind_of_cones(lacking: str) -> None:
    seen = [_seen(color, lacking) for color in COLORS]
    distances = [np.linalg.norm(a - b) for i, a in enumerate(seen) for b in seen[:i]]
    assert min(distances) > 0.06
