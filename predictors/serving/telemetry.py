"""In front of all other layers of a server: each request is counted, has its place in a trace, and
is named in the lines of the log."""

import re
from collections.abc import Mapping
from typing import Any, Final

from prometheus_client import Counter, Gauge
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictors.contract.openai.errors import PREFIXES
from predictors.metric_names import OTHER
from predictors.passed_on import FORWARDED, REQUEST_ID, passed_on_of, shown_id
from predictors.tracing.spans import CANCELLED, NOTHING, Span, Value, server_span, tracing

LEFT: Final = "left"  # in place of a status: the client was gone before there was one
_REQUESTS = Counter(
    "hem_http_requests_total",
    "Requests over HTTP by path, and by the status of their answers; left: the client did.",
    ["path", "status"],
)
_UNDER_WAY = Gauge("hem_http_requests_under_way", "POST requests that are being answered.")
_MODEL: Final = re.compile(r"/v2/models/[^/]+(?:/versions/[^/]+)?(/infer|/ready)?")


class Telemetry:
    """The outermost ASGI layer."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._paths: Mapping[str, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = passed_on_of(scope["headers"])
        path, post, status = self._path(scope), scope["method"] == "POST", 0

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        span = _span(scope, path, headers) if post and tracing() else NOTHING
        if post:
            _UNDER_WAY.inc()
        # For good: who is around this layer logs what nobody caught. A request has its own context.
        FORWARDED.set(headers)
        try:
            with span:
                try:
                    await self.app(scope, receive, sent)
                except Exception:  # the layer around all layers answers it
                    status = status or 500
                    raise
                finally:
                    _end(span, status)
        finally:
            if post:
                _UNDER_WAY.dec()
            _REQUESTS.labels(path, str(status) if status else LEFT).inc()

    def _path(self, scope: Scope) -> str:
        """Of those that there are, models' names left out: nothing that a caller thought of."""
        if not self._paths:
            self._paths = _known(scope.get("app"))
        path = scope["path"]
        if known := self._paths.get(path):
            return known
        model = _MODEL.fullmatch(path)
        return f"/v2/models/{{model}}{model[1] or ''}" if model else OTHER


def _known(app: Any) -> dict[str, str]:
    """The paths of an app that has started. OpenAI's are one, whatever stands in front of them."""
    routes = (getattr(route, "path", "") for route in getattr(app, "routes", ()))
    known = {path: path for path in routes if path and "{" not in path}
    for path in list(known):
        for prefix in PREFIXES:
            if path.startswith(f"{prefix}/"):
                known[path] = f"/v1{path.removeprefix(prefix)}"
    return known or {"/": "/"}


def _span(scope: Scope, path: str, headers: Mapping[str, str]) -> Span:
    """By OpenTelemetry's conventions for HTTP servers."""
    about: dict[str, Value] = {
        "http.request.method": scope["method"],
        "http.route": path,
        "url.scheme": scope.get("scheme", "http"),
    }
    if server := scope.get("server"):
        about["server.address"] = str(server[0])
        if server[1]:
            about["server.port"] = int(server[1])
    if identity := shown_id(headers.get(REQUEST_ID)):
        about[f"http.request.header.{REQUEST_ID}"] = [identity]
    return server_span(f"{scope['method']} {path}", headers, about)


def _end(span: Span, status: int) -> None:
    if status:
        span.set({"http.response.status_code": status})
        if status >= 500:
            span.fail(str(status))
    else:
        span.fail(CANCELLED)
