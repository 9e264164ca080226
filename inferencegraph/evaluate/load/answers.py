"""What one exchange says, read as lightly as may be: the harness must cost less than the server.

Bodies are not checked as a client would: an answer is one where its outputs, or its choice, are
there, and no error.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from inferencegraph.evaluate.load.record import Record
from inferencegraph.evaluate.load.target import API
from predictors.contract import CACHED, FAILURE_HEADER, HEM_ROUTE
from predictors.contract.usage import parse_usage
from predictors.errors import Cause
from predictors.upstream.attempt import error_reason
from predictors.upstream.timed import Exchange

_FAILURE_HEADER = FAILURE_HEADER.encode()
_ROUTE_HEADER = b"x-hem-route"  # the gateway's; its body may say it, too
_EVENTS = b"text/event-stream"
UNUSABLE: Final = str(Cause.UNUSABLE)
_DETAIL = 200  # characters of a server's own words that a row keeps


def read_into(record: Record, exchange: Exchange, api: API) -> None:
    """Fills what the answer says into `record`."""
    record.sent, record.end, record.status = exchange.sent, exchange.end, exchange.status
    record.sent_bytes, record.received_bytes = exchange.sent_bytes, exchange.received_bytes
    if exchange.failure is not None:
        record.failure, record.detail = str(exchange.failure), exchange.detail
        return
    if exchange.status != 200:
        record.failure = str(exchange.status)
        record.detail = error_reason(exchange.body)[:_DETAIL]
        return
    headers = exchange.headers
    record.degraded = headers.get(_FAILURE_HEADER, b"").decode(errors="replace")
    record.route = headers.get(_ROUTE_HEADER, b"").decode(errors="replace") or None
    try:
        if api is API.V2:
            _read_v2(record, orjson.loads(exchange.body))
        elif headers.get(b"content-type", b"").startswith(_EVENTS):
            _read_stream(record, exchange)
        else:
            _read_completion(record, orjson.loads(exchange.body))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        record.failure = UNUSABLE
        record.detail = f"did not answer as {api}: {type(error).__name__}: {error}"[:_DETAIL]


def _read_v2(record: Record, body: dict[str, Any]) -> None:
    if "error" in body:
        record.failure, record.detail = "error", str(body["error"])[:_DETAIL]
        return
    parameters = body.get("parameters") or {}
    record.route, record.cached = parameters.get(HEM_ROUTE), parameters.get(CACHED) is True
    if "outputs" not in body and not (record.route and "inputs" in body):  # a mine step has these
        raise ValueError("no outputs")
    for output in body.get("outputs") or ():
        if output["name"] == "completion_tokens":
            record.tokens = sum(output["data"])
        elif output["name"] == "prompt_tokens":
            record.prompt_tokens = sum(output["data"])


def _read_completion(record: Record, body: dict[str, Any]) -> None:
    if _error(record, body):
        return
    body["choices"][0]
    _describe(record, body)


def _read_stream(record: Record, exchange: Exchange) -> None:
    """Where the server doesn't count its tokens, each part with text counts as one."""
    parts, before, whole = 0, 0.0, False
    for came, data in _events(exchange):
        if data == b"[DONE]":
            whole = True
            continue
        event = orjson.loads(data)
        if _error(record, event):
            return
        _describe(record, event)
        choices = event.get("choices")
        if not choices:
            continue
        whole = whole or bool(choices[0].get("finish_reason"))
        if _has_text(choices[0]):
            parts += 1
            if record.first is None:
                record.first = came
            else:
                record.gaps.append(came - before)
            before = came
    if not whole:
        record.failure, record.detail = UNUSABLE, "ended its stream before its answer"
    if record.tokens is None:
        record.tokens = parts


def _events(exchange: Exchange) -> Iterator[tuple[float, bytes]]:
    """When each event's data was whole, and the data. An event of several `data` lines, which no
    server of OpenAI's API sends, would be several."""
    rest = b""
    for came, part in exchange.parts:
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            if line.startswith(b"data:"):
                yield came, line[5:].strip()
    if rest.startswith(b"data:"):
        yield exchange.end, rest[5:].strip()


def _has_text(choice: dict[str, Any]) -> bool:
    """Of the answer, or of the reasoning before it, which costs as much."""
    delta = choice.get("delta") or choice
    names = ("content", "text", "reasoning_content", "reasoning")
    return any(delta.get(name) for name in names)


def _describe(record: Record, body: dict[str, Any]) -> None:
    if usage := parse_usage(body.get("usage")):
        record.tokens, record.prompt_tokens = usage.completion_tokens, usage.prompt_tokens
    if isinstance(hem := body.get("hem"), dict):
        record.route = hem.get("route") or record.route
        record.degraded = str(hem.get("degraded") or record.degraded)


def _error(record: Record, body: dict[str, Any]) -> bool:
    if not body.get("error"):
        return False
    record.failure, record.detail = "error", error_reason(orjson.dumps(body))[:_DETAIL]
    return True
