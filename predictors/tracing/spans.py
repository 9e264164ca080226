"""Spans for the rest of the code, which cost next to nothing while tracing is off.

A span is entered where its work begins, in the task that does it; what is called inside becomes its
child, over the wire by `traceparent` (W3C Trace Context). Only requests begin traces: a child
outside of one, as a probe's call, is no span.
"""

import asyncio
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, Protocol

from predictors.errors import HEMError, UpstreamError
from predictors.passed_on import TRACEPARENT, passed_on

Value = str | bool | int | float | Sequence[str]
Attributes = Mapping[str, Value]

ERROR_TYPE: Final = "error.type"
CANCELLED: Final = "cancelled"  # the caller left, or a time limit ended it


class Kind(Enum):
    """Of a span: OpenTelemetry's names."""

    SERVER = "SERVER"
    CLIENT = "CLIENT"
    INTERNAL = "INTERNAL"


class Span:
    """Does nothing: tracing is off."""

    recording = False

    def __enter__(self) -> "Span":
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        """An exception fails it."""

    def set(self, attributes: Attributes) -> None:
        """Adds them."""

    def fail(self, why: str) -> None:
        """`why` is one of a few words, never an error's text."""


NOTHING: Final = Span()


class Tracer(Protocol):
    """What records spans; recording.Recorder is the only one."""

    def server(self, name: str, headers: Mapping[str, str], attributes: Attributes) -> Span: ...
    def child(self, name: str, kind: Kind, attributes: Attributes) -> Span: ...
    def carrier(self) -> Mapping[str, str]: ...
    def ids(self) -> tuple[str, str] | None: ...
    def close(self, seconds: float) -> None: ...


_tracers: list[Tracer] = []


def record_by(tracer: Tracer | None) -> None:
    """From now on; None: nobody."""
    _tracers[:] = [] if tracer is None else [tracer]


def tracing() -> bool:
    return bool(_tracers)


def server_span(name: str, headers: Mapping[str, str], attributes: Attributes) -> Span:
    """Of a request, in the trace that its `headers` (in lower case) tell of."""
    return _tracers[0].server(name, headers, attributes) if _tracers else NOTHING


def span(name: str, attributes: Attributes, kind: Kind = Kind.INTERNAL) -> Span:
    """Of a part of the work of a request."""
    return _tracers[0].child(name, kind, attributes) if _tracers else NOTHING


def carrier() -> Mapping[str, str]:
    """The headers, in lower case, by which another server goes on with this trace. Empty outside of
    one, and while tracing is off."""
    return _tracers[0].carrier() if _tracers else {}


def trace_ids() -> dict[str, str]:
    """Of the request being served, for logs: `trace_id`, and `span_id` of the span around."""
    ids = _tracers[0].ids() if _tracers else None
    if ids is not None:
        return dict(zip(("trace_id", "span_id"), ids, strict=True))
    parts = (passed_on(TRACEPARENT) or "").split("-")
    return {"trace_id": parts[1]} if len(parts) >= 4 and _is_trace_id(parts[1]) else {}


def stop(seconds: float = 2.0) -> None:
    """Sends what was recorded, for so long at most."""
    if _tracers:
        _tracers.pop().close(seconds)


def error_type(error: BaseException) -> str:
    """One of a few words."""
    if isinstance(error, asyncio.CancelledError):
        return CANCELLED
    if isinstance(error, UpstreamError):
        return str(error.cause)
    return type(error).__name__ if isinstance(error, HEMError) else type(error).__qualname__


def _is_trace_id(text: str) -> bool:
    return len(text) == 32 and set(text) <= set("0123456789abcdef")
