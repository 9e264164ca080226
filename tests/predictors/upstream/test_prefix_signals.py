"""What the first tokens of an answer say, in both shapes of log-probabilities."""

from collections.abc import Sequence
from math import log
from typing import Any

import pytest
from pytest import approx

from predictors.upstream.openai.signals import PrefixSignals

CHANCES = (0.9, 0.5, 0.7, 0.6)  # of each token; that of its one rival is 0.1
TEXTS = ("Hel", "lo", ", ", "you")
TELEMETRY = {"mean_logprob": -3.0, "min_logprob": -9.0, "mean_margin": 0.25}


def chat(*places: int) -> dict[str, Any]:
    """A choice with these of the tokens."""
    return {"logprobs": {"content": [token(TEXTS[at], CHANCES[at]) for at in places]}}


def token(text: str, chance: float) -> dict[str, Any]:
    top = [{"token": text, "logprob": log(chance)}, {"token": "rival", "logprob": log(0.1)}]
    return {"token": text, "logprob": log(chance), "top_logprobs": top}


def completion(*places: int) -> dict[str, Any]:
    return {
        "logprobs": {
            "tokens": [TEXTS[at] for at in places],
            "token_logprobs": [log(CHANCES[at]) for at in places],
            "top_logprobs": [{TEXTS[at]: log(CHANCES[at]), "rival": log(0.1)} for at in places],
        }
    }


def signals_of(chances: Sequence[float]) -> Any:
    return approx(
        {
            "mean_logprob": sum(map(log, chances)) / len(chances),
            "min_logprob": log(min(chances)),
            "mean_margin": sum(chance - 0.1 for chance in chances) / len(chances),
        }
    )


@pytest.mark.parametrize("choice", [chat, completion])
@pytest.mark.parametrize(
    "events",
    [[(0,), (1,), (2,), (3,)], [(0, 1, 2, 3)], [(), (0, 1), (2, 3)]],
    ids=["token by token", "whole", "several at once"],
)
@pytest.mark.parametrize("limit", [1, 2, 3, None])
def test_signals_are_those_of_the_first_tokens_however_they_come(
    choice: Any, events: list[tuple[int, ...]], limit: int | None
) -> None:
    prefix = PrefixSignals(limit)
    for places in events:
        prefix.add(choice(*places))
    count = limit or len(CHANCES)
    assert prefix.signals() == signals_of(CHANCES[:count])
    assert (prefix.tokens, prefix.text) == (count, "".join(TEXTS[:count]))
    assert prefix.full is (limit is not None)


def test_signals_grow_with_the_answer_until_the_prefix_is_full() -> None:
    prefix = PrefixSignals(3)
    seen = []
    for place in range(4):
        prefix.add(chat(place))
        seen.append((prefix.full, prefix.signals()["min_logprob"]))
    expected = [(False, 0.9), (False, 0.5), (True, 0.5), (True, 0.5)]
    assert seen == [(full, approx(log(chance))) for full, chance in expected]


def test_of_an_answer_that_ends_before_the_predictors_own_telemetry_counts() -> None:
    """It counts the token that ends the answer, too."""
    signals = {}
    for limit in (3, 4, 5, None):
        prefix = PrefixSignals(limit)
        prefix.add(chat(0, 1, 2))
        prefix.add({**chat(3), "finish_reason": "stop", "telemetry": TELEMETRY})
        signals[limit] = prefix.signals()
    assert signals[3] == signals_of(CHANCES[:3])
    assert signals[4] == signals_of(CHANCES)
    assert signals[5] == signals[None] == TELEMETRY


def test_an_answer_that_ends_before_is_a_prefix_as_a_whole() -> None:
    prefix = PrefixSignals(16)
    prefix.add(chat(0, 1))
    prefix.add({"finish_reason": "stop"})
    assert (prefix.signals(), prefix.tokens, prefix.full) == (signals_of(CHANCES[:2]), 2, False)


@pytest.mark.parametrize(
    "broken",
    [{"content": [{"token": "a"}]}, {"content": [{"logprob": "low"}]}, {"token_logprobs": [None]}],
)
def test_broken_log_probabilities_within_the_prefix_leave_no_signals(broken: Any) -> None:
    early, late = PrefixSignals(3), PrefixSignals(2)
    for prefix in (early, late):
        for logprobs in (chat(0, 1)["logprobs"], broken, chat(2)["logprobs"]):
            prefix.add({"logprobs": logprobs})
    assert (early.full, early.signals()) == (True, {})
    assert late.signals() == signals_of(CHANCES[:2])


@pytest.mark.parametrize("choice", [{}, {"logprobs": None}, {"logprobs": {"content": []}}])
def test_a_server_without_log_probabilities_leaves_no_signals(choice: Any) -> None:
    prefix = PrefixSignals(1)
    prefix.add(choice)
    assert (prefix.full, prefix.tokens, prefix.signals(), prefix.text) == (False, 0, {}, "")


def test_without_alternatives_there_is_no_margin() -> None:
    prefix = PrefixSignals(1)
    prefix.add({"logprobs": {"content": [{"token": "a", "logprob": -0.5}]}})
    assert prefix.signals() == {"mean_logprob": -0.5, "min_logprob": -0.5}


def test_a_character_of_several_tokens_is_in_the_text_once_it_is_whole() -> None:
    halves = "naïve".encode()[:3], "naïve".encode()[3:]
    texts = []
    for limit in (1, 2):
        prefix = PrefixSignals(limit)
        for half in halves:
            entry = {"token": "\ufffd", "logprob": -0.1, "bytes": list(half)}
            prefix.add({"logprobs": {"content": [entry]}})
        texts.append(prefix.text)
    assert texts == ["na", "naïve"]


@pytest.mark.parametrize("given", [None, 7, [300], ["a"], {}, 10**12])
def test_bytes_that_are_none_change_nothing_of_the_signals(given: Any) -> None:
    prefix = PrefixSignals()
    prefix.add({"logprobs": {"content": [{"token": "a", "logprob": -0.5, "bytes": given}]}})
    assert (prefix.text, prefix.signals()["mean_logprob"]) == ("a", -0.5)


def test_minus_infinity_as_servers_write_it_has_no_mean() -> None:
    prefix = PrefixSignals(2)
    for value in (-0.5, -9999.0):
        prefix.add({"logprobs": {"token_logprobs": [value]}})
    assert prefix.signals() == {}
