"""A collector of OpenTelemetry's, as far as tests need one: it takes spans by OTLP over HTTP."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from tests.loopback import Handler, LoopbackServer


@dataclass(frozen=True)
class Exported:
    """A span. Ids are hexadecimal, `parent` is empty for a root; times are nanoseconds."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    began: int
    ended: int
    attributes: Mapping[str, Any]
    failed: bool


class Collector:
    """Use as a context manager; `url` is for OTEL_EXPORTER_OTLP_ENDPOINT."""

    def __init__(self) -> None:
        self.spans: list[Exported] = []
        self._lock = threading.Lock()
        collector = self

        class Taking(Handler):
            def do_POST(self) -> None:
                collector._take(self.read())
                answer = ExportTraceServiceResponse().SerializeToString()
                self.say(200, answer, "application/x-protobuf")

        self._server = LoopbackServer(Taking)
        self.url = self._server.origin

    def __enter__(self) -> "Collector":
        self._server.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.stop()

    @property
    def environment(self) -> dict[str, str]:
        return {"OTEL_EXPORTER_OTLP_ENDPOINT": self.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}

    def trace(self, trace: str) -> list[Exported]:
        """Its spans, in the order in which they began."""
        with self._lock:
            found = [span for span in self.spans if span.trace == trace]
        return sorted(found, key=lambda span: span.began)

    def wait_for(
        self, trace: str, holds: Callable[[list[Exported]], bool], timeout: float = 20
    ) -> list[Exported]:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            if holds(found := self.trace(trace)):
                return found
            time.sleep(0.05)
        raise AssertionError(f"not within {timeout} s: {self.trace(trace)}")

    def _take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            service = str(_values(resource.resource.attributes)["service.name"])
            for scope in resource.scope_spans:
                with self._lock:
                    self.spans += [_exported(service, span) for span in scope.spans]


def _exported(service: str, span: Any) -> Exported:
    kinds = span.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number
    return Exported(
        service,
        span.name,
        kinds[span.kind].name.removeprefix("SPAN_KIND_"),
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        _values(span.attributes),
        span.status.code == span.status.STATUS_CODE_ERROR,
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_value(each) for each in value.array_value.values]
    return getattr(value, kind)
