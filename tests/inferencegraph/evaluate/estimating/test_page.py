"""The page: whole, of one file, and in words that a log can't break."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from inferencegraph.evaluate.estimating.aim import Aim
from inferencegraph.evaluate.estimating.log import LeftOut
from inferencegraph.evaluate.estimating.page import page
from inferencegraph.evaluate.estimating.result import Counts, CurvePoint, Estimate, Quality
from inferencegraph.evaluate.estimating.savings import Latency, Savings
from tests.browser import measured
from transformers_hem.calibration.betting import Interval

FOUND = Estimate(
    aim=Aim.of(0.03, None, None, None),
    scorer="numeric",
    agreement=False,
    counts=Counts(1500, 22, 375, 256, 3, 631),
    ended="precise",
    quality=Quality(0.7, Interval(0.66, 0.74), 0.98, Interval(0.95, 1.0)),
    threshold=0.14,
    edge_share=0.588,
    share_interval=Interval(0.55, 0.62),
    best_share=0.69,
    possible_share=0.78,
    loss=0.014,
    savings=Savings("USD", 0.001, 0.0006, Interval(0.00055, 0.00065), 1500),
    latency=Latency(0.1, 0.2, 256, 1.5, 3.0, 800, -0.8),
    per_month=100_000,
    curve=[
        CurvePoint(s, s, 0.3 * s**3, Interval(0.3 * s**3 - 0.02, 0.3 * s**3 + 0.02), s / 1000)
        for s in (0.1, 0.4, 0.7, 1.0)
    ],
)


class Elements(HTMLParser):
    """Fails where an element isn't closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_says_what_the_terminal_says_and_loads_nothing() -> None:
    html = page(FOUND, "log.jsonl")
    elements = Elements(html)
    names = {name for name, _ in elements.attributes}
    assert not names & {"src", "href", "onload"} and "url(" not in html and "@import" not in html
    assert "At a loss of quality of at most 0.03 with confidence 0.9 you keep 58.8%" in html
    assert "save 60.00 USD a month [55.00 to 65.00], 60% of the cloud" in html
    assert 'name="viewport"' in html and "@media print" in html


def test_numbers_of_the_figure_are_within_it() -> None:
    places = re.findall(r"[ML ](-?\d+\.\d) (-?\d+\.\d)", page(FOUND, "log.jsonl"))
    assert len(places) > 10
    for x, y in places:
        assert 0 <= float(x) <= 420 and 0 <= float(y) <= 300


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"threshold": None, "missing": 90, "missing_rows": 200}, "about 90 more labels, 200 more"),
        ({"threshold": None, "missing": 90}, "about 90 more labels would do"),
        ({"threshold": None}, "more rows would not help"),
        ({"agreement": True}, "weaker than quality"),
        ({"ended": "max labels"}, "then --max-labels was reached"),
        ({"ended": "enough"}, "then half of the log was labelled (--precision asks for more)"),
        ({"savings": None, "latency": None, "curve": []}, "you keep 58.8% [55.0% to 62.0%]"),
        (
            {
                "aim": Aim.of(None, 0.6, None, None),
                "loss_interval": Interval(0.01, 0.05),
            },
            "With 58.8% of the queries at the edge the loss of quality is between 0.0100 and",
        ),
        (
            {"latency": Latency(0.1, 0.2, 256)},
            "the log doesn't tell how long the cloud took",
        ),
    ],
)
def test_every_outcome_has_its_words(changes: dict[str, object], said: str) -> None:
    found = replace(FOUND, **changes)  # type: ignore[arg-type]
    assert said in found.text()
    Elements(page(found, "log.jsonl"))


def test_names_and_reasons_are_text_and_never_elements() -> None:
    left = [LeftOut(f"log, line {i}", "<script>alert(1)</script>") for i in range(30)]
    html = page(FOUND, "<b>.jsonl", left)
    Elements(html)
    assert "<script>" not in html and "<b>" not in html
    assert "30 rows of the log were left out" in html and "and 10 more" in html


def test_facts_are_plain_json_values() -> None:
    facts = FOUND.facts()
    assert facts["share_interval"] == [0.55, 0.62] and facts["labels"] == 631
    assert facts["curve"][0]["interval"][0] == pytest.approx(-0.0197)
    assert facts["savings"]["interval"] == [0.00055, 0.00065]


@pytest.mark.system
@pytest.mark.parametrize("width", [360, 390, 1280])
def test_the_page_fits_a_phone_and_a_desk(width: int, tmp_path: Path) -> None:
    (tmp_path / "estimate.html").write_text(page(FOUND, "log.jsonl"), encoding="utf-8")
    script = "[document.documentElement.scrollWidth, document.querySelectorAll('svg').length]"
    wide, pictures = measured(tmp_path / "estimate.html", width, script, tmp_path)
    assert wide <= width and pictures == 1
