"""From a response, whole or streamed, to an Answer."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx
import orjson
from httpx_sse import EventSource, SSEError

from predictors.contract import Answer, is_telemetry
from predictors.upstream.openai.bodies import API
from predictors.upstream.openai.logprobs import Token, telemetry, tokens_of

# An answer that ended so is not one: LMDeploy's, SGLang's, vLLM's words for an engine that gave up.
BROKEN: Final = frozenset({"error", "abort"})
END: Final = "[DONE]"
NO_CHOICES: Final = "not a completion: it has no choices"


def whole_answer(response: Any, api: API) -> Answer:
    """Raises ValueError where it is not a chat completion or completion."""
    choice = _choice(response)
    if choice is None:
        raise ValueError(NO_CHOICES)
    return _answer(api.text(choice), tokens_of(choice), response)


async def streamed_answer(response: httpx.Response, api: API, begin: float) -> Answer:
    """Reads server-sent events to their end; `begin` is when the request left (perf_counter).

    Raises ValueError where they are not a stream of completions, break off, or hold an error.
    """
    parts: list[tuple[str, float]] = []  # of the text, and when each came
    tokens: list[Token] = []
    described: dict[str, Any] = {}
    begun = finished = False
    response.encoding = "utf-8"  # as HTML's standard has it for event streams, charset or not
    try:
        async for event in EventSource(response).aiter_sse():
            if event.data == END:
                finished = True
                break
            body = orjson.loads(event.data)
            choice = _choice(body)
            described |= {name: body[name] for name in ("model", "usage") if body.get(name)}
            if choice is not None:
                begun = True
                finished = finished or choice.get("finish_reason") is not None
                tokens += tokens_of(choice)
                parts += [(text, time.perf_counter()) for text in [api.delta(choice)] if text]
    except SSEError:
        raise ValueError("not an event stream") from None
    if not begun or not finished:
        raise ValueError(NO_CHOICES if finished else "a stream that broke off")
    latencies = _latencies(described, [at - begin for _, at in parts])
    return _answer("".join(text for text, _ in parts), tokens, described, latencies)


def _latencies(described: Mapping[str, Any], seconds: Sequence[float]) -> dict[str, float]:
    """From when the parts of the text came. Between tokens only where more than one part came:
    else it is unknown."""
    if not seconds:
        return {}
    first, last = seconds[0], seconds[-1]
    count = _usage(described).get("completion_tokens") or 0
    between = len(seconds) > 1 and count > 1
    return {
        "time_to_first_token": first,
        **({"inter_token_latency": (last - first) / (count - 1)} if between else {}),
    }


def _choice(response: Any) -> Mapping[str, Any] | None:
    """The first choice; None where there is none, as in a stream's event of usage alone."""
    if not isinstance(response, dict):
        raise ValueError("not a completion: it is not a JSON object")
    if error := response.get("error"):
        message = error.get("message", error) if isinstance(error, dict) else error
        raise ValueError(f"an error: {message}")
    choices = response.get("choices")
    if not isinstance(choices, list):
        raise ValueError(NO_CHOICES)
    if not choices:
        return None
    if not isinstance(choices[0], dict):
        raise ValueError("not a completion: its choice is not an object")
    if choices[0].get("finish_reason") in BROKEN:
        raise ValueError(f"a completion that ended with {choices[0]['finish_reason']!r}")
    return choices[0]


def _answer(
    text: str,
    tokens: Sequence[Token],
    described: Mapping[str, Any],
    latencies: Mapping[str, float] | None = None,
) -> Answer:
    measured: dict[str, Any] = {**_usage(described), **(latencies or {}), **telemetry(tokens)}
    model = described.get("model")
    return Answer(text, **measured, served_by=model if isinstance(model, str) and model else None)


def _usage(described: Mapping[str, Any]) -> dict[str, int]:
    usage = described.get("usage")
    if not isinstance(usage, dict):
        return {}
    counts: dict[str, Any] = {n: usage.get(n) for n in ("prompt_tokens", "completion_tokens")}
    return {name: n for name, n in counts.items() if is_telemetry(name, n) and n >= 0}
