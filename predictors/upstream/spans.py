"""Attempts at another server as spans, by OpenTelemetry's conventions for HTTP and RPC clients."""

from typing import Final

from predictors.tracing.spans import NOTHING, Kind, Span, Value, carrier, span, tracing
from predictors.upstream.client import URL, Request, shown
from predictors.upstream.ledger.sent import CALL

_GRPC: Final = "grpc"


def attempt_span(request: Request) -> Span:
    """To be entered around one attempt; inside it `carry` tells the other server."""
    if not tracing():
        return NOTHING
    about = {"http.request.method": request.method, "url.full": shown(request.url)}
    return _client(f"{request.method} {request.url.path}", request.url, about)


def carry(request: Request) -> None:
    """Has the other server go on with the trace; where there is none, an incoming one goes on."""
    if told := carrier():
        request.headers.update(told)


def answered(span: Span, status: int) -> None:
    span.set({"http.response.status_code": status})
    if status >= 400:
        span.fail(str(status))


def rpc_span(url: str, method: str) -> Span:
    """Of gRPC, in the service of the V2 protocol."""
    if not tracing():
        return NOTHING
    name = f"inference.GRPCInferenceService/{method}"
    return _client(name, URL(url), {"rpc.system.name": _GRPC, "rpc.method": name})


def _client(name: str, url: URL, about: dict[str, str]) -> Span:
    attributes: dict[str, Value] = {**about, "server.address": url.host}
    if url.port:
        attributes["server.port"] = url.port
    call = CALL.get()
    if call is not None:
        if call.attempts:
            attributes["http.request.resend_count"] = call.attempts
        call.attempts += 1
    return span(name, attributes, Kind.CLIENT)
