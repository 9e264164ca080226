"""Telemetry from the log-probabilities of generated tokens, in both shapes that servers have."""

import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from predictors.contract import ScoredToken

# How far above 0 (nats) rounding may put a log-probability.
ROUNDING: Final = 1e-3
# What OpenAI's API reference has for "very unlikely", and vLLM for minus infinity.
UNLIKELY: Final = -9999.0


@dataclass(frozen=True, slots=True)
class Token:
    """`logprob` in nats; `margin` p(top1) - p(top2), None with fewer than two alternatives; `text`
    in UTF-8, which a character may have several tokens of."""

    logprob: float
    margin: float | None
    text: bytes = b""


BROKEN: Final = Token(math.nan, None)


def tokens_of(choice: Mapping[str, Any]) -> list[Token]:
    """Chat's `content`, a list of tokens (llama.cpp has it for completions too), or completions'
    `token_logprobs` and `top_logprobs`. Empty where there are none; broken ones are one Token of
    NaN, by which the telemetry of the whole answer is unknown."""
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, dict):
        return []
    try:
        if logprobs.get("content") is not None:
            return [_from_chat(token) for token in logprobs["content"]]
        if logprobs.get("token_logprobs") is not None:
            return _from_completions(logprobs["token_logprobs"], logprobs)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return [BROKEN]
    return []


def scored_tokens(choice: Mapping[str, Any]) -> tuple[ScoredToken, ...]:
    """The same tokens with their texts and alternatives, for who asked for them. Empty where they
    are broken: log-probabilities never fail an answer."""
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, dict):
        return ()
    try:
        if logprobs.get("content") is not None:
            return tuple(_scored(token) for token in logprobs["content"])
        texts, values = logprobs.get("tokens") or (), logprobs.get("token_logprobs") or ()
        tops = logprobs.get("top_logprobs") or [None] * len(values)
        offsets = logprobs.get("text_offset") or [None] * len(values)
        rows = zip(texts, values, tops, offsets, strict=True)
        return tuple(
            ScoredToken(
                str(text),
                None if value is None else float(value),  # a prompt's first, with echo
                _pairs((top or {}).items()),
                offset if type(offset) is int else None,
            )
            for text, value, top, offset in rows
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return ()


def _scored(token: Mapping[str, Any]) -> ScoredToken:
    top = ((each["token"], each["logprob"]) for each in token.get("top_logprobs") or ())
    return ScoredToken(str(token["token"]), _value(token["logprob"]), _pairs(top))


def _pairs(top: Iterable[tuple[Any, Any]]) -> tuple[tuple[str, float], ...]:
    return tuple((str(text), _value(value)) for text, value in top)


def _value(value: Any) -> float:
    """null is llama.cpp's -inf."""
    return -math.inf if value is None else float(value)


def log_probability(value: Any) -> float:
    """NaN, which is left out, for a number that can't be one. Raises TypeError or ValueError for
    what is not a number."""
    number = math.nan if isinstance(value, bool) else float(value)
    return number if number <= ROUNDING else math.nan


def margin_of(logprobs: Sequence[float]) -> float | None:
    """p(top1) - p(top2) of log_probabilities."""
    if len(logprobs) < 2 or any(map(math.isnan, logprobs)):
        return None
    first, second = sorted(logprobs, reverse=True)[:2]
    return math.exp(first) - math.exp(second)


def telemetry(tokens: Sequence[Token]) -> dict[str, float]:
    """mean_logprob, min_logprob, and mean_margin where each token has a margin."""
    logprobs = [token.logprob for token in tokens]
    if not logprobs or not all(logprob > UNLIKELY for logprob in logprobs):
        return {}
    values = {"mean_logprob": math.fsum(logprobs) / len(logprobs), "min_logprob": min(logprobs)}
    margins = [token.margin for token in tokens if token.margin is not None]
    if len(margins) == len(tokens):
        values["mean_margin"] = math.fsum(margins) / len(margins)
    return values


def _from_chat(token: Mapping[str, Any]) -> Token:
    alternatives = [each["logprob"] for each in token.get("top_logprobs") or ()]
    return Token(log_probability(token["logprob"]), _margin(alternatives), _text(token))


def _text(token: Mapping[str, Any]) -> bytes:
    """Telemetry does not depend on it: what can't be read is left out."""
    given = token.get("bytes")
    with contextlib.suppress(TypeError, ValueError):
        if isinstance(given, list):
            return bytes(given)
    return _utf8(token.get("token"))


def _from_completions(logprobs: Sequence[float], beside: Mapping[str, Any]) -> list[Token]:
    unknown: list[Any] = [None] * len(logprobs)
    tops, texts = beside.get("top_logprobs") or unknown, beside.get("tokens")
    if not isinstance(texts, list) or len(texts) != len(logprobs):
        texts = unknown
    return [
        Token(log_probability(logprob), _margin((top or {}).values()), _utf8(text))
        for logprob, top, text in zip(logprobs, tops, texts, strict=True)
    ]


def _utf8(text: Any) -> bytes:
    return text.encode(errors="ignore") if isinstance(text, str) else b""


def _margin(alternatives: Iterable[float | None]) -> float | None:
    """null is llama.cpp's -inf."""
    return margin_of(
        [-math.inf if each is None else log_probability(each) for each in alternatives]
    )
