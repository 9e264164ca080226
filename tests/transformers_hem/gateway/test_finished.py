"""What is told of a request that has ended."""

from typing import Any

import pytest

from predictors.contract import CLOUD, EDGE
from transformers_hem.gateway.account import Account
from transformers_hem.gateway.chat import Chat, Wishes
from transformers_hem.gateway.finished import finished_chat


@pytest.mark.parametrize(
    ("speculation", "by", "degraded"),
    [
        ({}, CLOUD, ""),
        ({"speculation": "speculative"}, CLOUD, ""),
        ({"speculation": EDGE}, EDGE, "link"),
    ],
)
def test_an_answer_that_the_small_model_of_a_joint_edge_ended_is_the_edges(
    speculation: dict[str, str], by: str, degraded: str
) -> None:
    nothing: Any = None  # what would leave is not looked at
    chat = Chat("/chat/completions", {}, ("x",), None, {}, Wishes(), Account(None), None, nothing)
    attempt = chat.account.begin(CLOUD)
    attempt.read({"model": "m", "hem": speculation})
    attempt.outcome = "answered"
    finished = finished_chat(chat, 0.0, None, 200)
    assert (finished.by, finished.degraded, finished.model) == (by, degraded, "m")
