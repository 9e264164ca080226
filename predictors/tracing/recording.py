"""Spans of OpenTelemetry's SDK, sent by OTLP over HTTP.

The provider is this project's own, not the process-wide one: FastAPI, which traces by itself where
there is such a one, would make every request a second span.
"""

import threading
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Final

from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from predictors.tracing.spans import (
    ERROR_TYPE,
    NOTHING,
    Attributes,
    Kind,
    Span,
    Tracer,
    error_type,
)

SCOPE: Final = "kserve-hem"
_PROPAGATOR: Final = TraceContextTextMapPropagator()
_KINDS: Final = {kind: SpanKind[kind.value] for kind in Kind}


def recorder(service: str) -> Tracer:
    return Recorder(service)


class Recorder:
    """Of the server called `service`; the SDK reads all else from the environment."""

    def __init__(self, service: str) -> None:
        # What the environment says of service.name wins over what stands here.
        named = Resource({"service.name": service}).merge(_without_default(Resource.create()))
        self._provider = TracerProvider(resource=named, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer(SCOPE, version(SCOPE))

    def server(self, name: str, headers: Mapping[str, str], attributes: Attributes) -> Span:
        parent = _PROPAGATOR.extract(headers, context=Context())
        return self._span(name, Kind.SERVER, attributes, parent)

    def child(self, name: str, kind: Kind, attributes: Attributes) -> Span:
        if not trace.get_current_span().get_span_context().is_valid:
            return NOTHING
        return self._span(name, kind, attributes, None)

    def carrier(self) -> Mapping[str, str]:
        headers: dict[str, str] = {}
        _PROPAGATOR.inject(headers)
        return headers

    def ids(self) -> tuple[str, str] | None:
        around = trace.get_current_span().get_span_context()
        if not around.is_valid:
            return None
        return trace.format_trace_id(around.trace_id), trace.format_span_id(around.span_id)

    def close(self, seconds: float) -> None:
        """The SDK itself would wait for a collector that is gone."""
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(seconds)

    def _span(self, name: str, kind: Kind, attributes: Attributes, parent: Context | None) -> Span:
        begun = self._tracer.start_span(
            name,
            context=parent,
            kind=_KINDS[kind],
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        )
        return RecordedSpan(begun)


class RecordedSpan(Span):
    """One of the SDK's. Current from where it is entered to where it is left, where it ends."""

    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._token: Any = None

    @property
    def recording(self) -> bool:  # type: ignore[override]
        return self._span.is_recording()

    def __enter__(self) -> Span:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is not None:
            self.fail(error_type(error))
        context.detach(self._token)
        self._span.end()

    def set(self, attributes: Attributes) -> None:
        self._span.set_attributes(attributes)

    def fail(self, why: str) -> None:
        self._span.set_attribute(ERROR_TYPE, why)
        self._span.set_status(StatusCode.ERROR)


def _without_default(resource: Resource) -> Resource:
    """The SDK's own name for a server without one is no name."""
    kept = dict(resource.attributes)
    if str(kept.get("service.name", "")).startswith("unknown_service"):
        del kept["service.name"]
    return Resource(kept, resource.schema_url)
