"""Telemetry from the log-probabilities of generated tokens, in both shapes that servers have."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Token:
    """`logprob` in nats; `margin` p(top1) - p(top2), None with fewer than two alternatives."""

    logprob: float
    margin: float | None


def tokens_of(choice: Mapping[str, Any]) -> list[Token]:
    """Chat's `content`, a list of tokens (llama.cpp has it for completions too), or completions'
    `token_logprobs` and `top_logprobs`. Empty where there are none or they are broken."""
    found = choice.get("logprobs")
    if not isinstance(found, dict):
        return []
    try:
        if found.get("content") is not None:
            return [_from_chat(token) for token in found["content"]]
        return _from_completions(found["token_logprobs"], found.get("top_logprobs"))
    except (KeyError, TypeError, ValueError):
        return []


def telemetry(tokens: Sequence[Token]) -> dict[str, float]:
    """mean_logprob, min_logprob, and mean_margin where each token has a margin."""
    logprobs = [token.logprob for token in tokens]
    if not logprobs or not all(map(math.isfinite, logprobs)):
        return {}
    found = {"mean_logprob": math.fsum(logprobs) / len(logprobs), "min_logprob": min(logprobs)}
    margins = [token.margin for token in tokens if token.margin is not None]
    if len(margins) == len(tokens):
        found["mean_margin"] = math.fsum(margins) / len(margins)
    return found


def _from_chat(token: Mapping[str, Any]) -> Token:
    alternatives = token.get("top_logprobs") or ()
    return Token(float(token["logprob"]), _margin(each["logprob"] for each in alternatives))


def _from_completions(logprobs: Sequence[float], alternatives: Any) -> list[Token]:
    tops = alternatives or [None] * len(logprobs)
    return [
        Token(float(logprob), _margin((top or {}).values()))
        for logprob, top in zip(logprobs, tops, strict=True)
    ]


def _margin(alternatives: Iterable[float | None]) -> float | None:
    """null is llama.cpp's -inf."""
    best = sorted(math.exp(each) if each is not None else 0.0 for each in alternatives)[-2:]
    return best[1] - best[0] if len(best) == 2 else None
