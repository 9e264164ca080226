"""The line that `hem chat` writes under an answer."""

from typing import Any

import pytest

from inferencegraph.commands.chatting import _about
from predictors.contract import Answer, Delta

DRAFTS = [{"model": "small", "cost": 9e-7}, {"model": "other"}]


def test_it_says_what_became_of_drafts() -> None:
    said = {"speculation": "speculative", "draft_rounds": 2, "drafted_tokens": 9}
    last = Delta(answer=Answer("hi"), decision={**said, "accepted_tokens": 8})
    shown = _about(last, None, 2.0)
    assert shown == "speculation speculative · 8 of 9 drafted tokens taken · 2.0 s"
    alone = Delta(
        answer=Answer("hi"),
        decision={"speculation": "cloud", "speculation_reason": "measured", "draft_rounds": 0},
    )
    assert _about(alone, None, 2.0) == "speculation cloud (measured) · 2.0 s"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({}, ""),
        ({"cost": 1.8e-6, "currency": "USD"}, " · cost 0.0000018 USD"),
        ({"cost": 0.0, "currency": "USD"}, " · cost 0 USD"),
        (
            {"cost": 12.5, "currency": "USD", "spent": DRAFTS},
            " · cost 12.5 USD · drafts thrown away 0.0000009 USD",
        ),
        ({"spent": DRAFTS[1:]}, ""),
    ],
)
def test_it_says_what_the_answer_cost_where_that_is_known(said: dict[str, Any], told: str) -> None:
    last = Delta(answer=Answer("hi", completion_tokens=4), decision=said)
    assert _about(last, None, 2.0) == f"2.0 s · 4 tokens, 2/s{told}"
