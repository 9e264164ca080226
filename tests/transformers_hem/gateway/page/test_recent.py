"""The requests that a process remembers: a bounded number of them, without their texts."""

from dataclasses import fields
from pathlib import Path

import pytest

from predictors.contract.usage import Usage
from predictors.prices import Price, Prices
from tests.conftest import ROOT
from transformers_hem.gateway.finished import Finished, finished_decision
from transformers_hem.gateway.page import counters
from transformers_hem.gateway.page.recent import KEPT, Recent
from transformers_hem.serving.decision import Decision

EDGE = Decision("edge", 0.1, "LinearRouter", 0.4, "algorithm")
PRICES = Prices(
    currency="USD",
    models={"small": Price(input=0, output=1), "large": Price(input=0, output=10)},
)


def chat(seconds: float = 1.0, **others: object) -> Finished:
    about = {"by": "edge", "model": "small", "usage": Usage(5, 0, 1_000_000), **others}
    return Finished("chat", EDGE, seconds, at=0.0, **about)  # type: ignore[arg-type]


def test_only_the_last_ones_are_kept_and_all_are_numbered() -> None:
    recent = Recent(lambda: None)
    for _ in range(KEPT + 50):
        recent.add(chat())
    kept = recent.after(0, most=10 * KEPT)
    assert [row["n"] for row in kept] == list(range(KEPT + 50, 50, -1))
    assert [row["n"] for row in recent.after(KEPT + 48, most=50)] == [KEPT + 50, KEPT + 49]


def test_times_are_those_of_the_last_chats_of_a_side() -> None:
    recent = Recent(lambda: None)
    for _ in range(300):
        recent.add(chat(100.0))
    for number in range(1, 201):
        recent.add(chat(float(number), first_token=None))
    recent.add(chat(1e6, status=502))  # no answer
    times = recent.times()["edge"]
    assert times["chats"] == 200 and times["first"] is None
    assert times["whole"] == {"median": 100.5, "p95": 190.0}


def test_what_is_saved_is_known_once_the_clouds_price_is() -> None:
    asked = ""
    recent = Recent(lambda: PRICES, lambda: asked)
    recent.add(chat(cost=1.0))
    assert recent.saved is None and recent.clouds_price() is None
    asked = "large"
    recent.add(chat(cost=1.0))
    assert recent.saved == pytest.approx(9.0)
    recent.add(chat(cost=10.0, by="cloud", model="large-2026"))
    assert recent.saved == pytest.approx(9.0)
    assert recent.clouds_price() == ("large", PRICES.models["large"])


def test_what_is_told_of_a_request_has_no_room_for_a_text() -> None:
    assert {field.name for field in fields(Finished)} == {
        *("way", "decision", "seconds", "at", "status", "by", "model", "usage"),
        *("first_token", "cost", "degraded", "speculation"),
    }


def test_drafts_are_summed_up_over_answers_whose_drafts_were_checked() -> None:
    recent = Recent(lambda: None)
    recent.add(chat())
    assert recent.drafts.as_json() is None
    told = {"draft_rounds": 10, "drafted_tokens": 60, "accepted_tokens": 50, "cloud_passes": 12}
    for number in (1, 2):
        usage = Usage(5, 0, 40 * number)
        recent.add(
            chat(by="cloud", usage=usage, speculation={"speculation": "speculative", **told})
        )
    recent.add(chat(by="edge", speculation={"speculation": "edge", **told}))
    recent.add(
        chat(by="cloud", speculation={"speculation": "cloud", "speculation_reason": "short"})
    )
    recent.add(chat(speculation={"speculation": "speculative", "draft_rounds": "many"}, usage=None))
    recent.add(chat(speculation={"speculation": "elsewhere"}))
    assert recent.drafts.as_json() == {
        "answers": {"speculative": 3, "cloud": 1, "edge": 1},
        "draft_rounds": 20,
        "drafted_tokens": 120,
        "accepted_tokens": 100,
        "cloud_passes": 24,
        "tokens": 120,
    }


def test_each_metric_that_the_page_shows_is_described() -> None:
    described = (ROOT / Path("docs/metrics.md")).read_text()
    assert [name for name in counters.SHOWN if f"`{name}`" not in described] == []


def test_copies_of_a_program_push_out_nothing_that_users_asked() -> None:
    recent = Recent(lambda: None)
    named = Decision("edge", None, "LinearRouter", 0.4, "prefer")
    recent.add(chat())
    recent.add(finished_decision(EDGE, 0.01))
    recent.add(Finished("chat", named, 1.0, at=0.0))  # the page's own choice of a side
    for _ in range(KEPT + 50):
        recent.add(finished_decision(named, 0.01))
    told = recent.after(0, most=50)
    assert [row["n"] for row in told if not row["copy"]] == [3, 2, 1]
    copies = [row["n"] for row in told if row["copy"]]
    assert copies == list(range(recent.last, recent.last - 50, -1))
    assert told[0]["n"] == recent.last
    assert recent.copies == {"edge": KEPT + 50}
