"""A graph as an ASGI app.

Like KServe's router it buffers whole bodies, passes on no path, and no headers unless
PROPAGATE_HEADERS names them, and goes on when its client has gone away. Unlike KServe's it passes
on an event stream that is the graph's answer as it comes, and ends the call when its client leaves.
"""

import asyncio
import logging
import re
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from typing import Any, Final

from inferencegraph.router.answer import Message, Receive, Send, answer, fail, pass_on
from inferencegraph.router.execution import Call, bind
from inferencegraph.router.spec import RouterTimeouts, Step, parse
from inferencegraph.router.step import (
    MAX_BODY_BYTES,
    GraphFailure,
    Lookout,
    Reply,
    StepService,
)
from predictors.errors import ConfigurationError
from predictors.passed_on import forwarded_headers, passed_on_of
from predictors.tracing.spans import server_span, tracing
from predictors.upstream.client import PASSED_ON, Client, build_client

Scope = MutableMapping[str, Any]
HeaderFilter = Callable[[Sequence[tuple[bytes, bytes]]], list[tuple[str, str]]]

READY_PATH: Final = "/readyz"
PROPAGATE_HEADERS: Final = "PROPAGATE_HEADERS"  # the environment variable, here and in KServe
# What `hem up` passes on where PROPAGATE_HEADERS is unset: the names of requests, no credentials.
TRACING: Final = tuple(
    f"^{'-'.join(map(str.capitalize, name.split('-')))}$" for name in sorted(PASSED_ON)
)
# They describe one connection or one body; each call of a step has its own.
_NEVER_PASSED: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "trailer", "connection", "keep-alive"}
    | {"expect", "te", "upgrade", "proxy-connection"}
)

log = logging.getLogger(__name__)


def patterns_from(environ: Mapping[str, str]) -> tuple[str, ...]:
    """As KServe's router splits them: at commas, spaces kept. Unset passes none, empty all."""
    text = environ.get(PROPAGATE_HEADERS)
    return () if text is None else tuple(text.split(","))


def header_filter(patterns: Iterable[str]) -> HeaderFilter:
    """Which of a client's headers reach the steps: those whose name matches one of `patterns`.

    A pattern matches anywhere in the name as Go writes it (`X-Request-Id`), and its case counts.
    One that doesn't compile is logged and left out, as in KServe.
    """
    compiled: list[re.Pattern[str]] = []
    for pattern in patterns:
        try:
            compiled.append(re.compile(pattern))
        except re.error as error:
            log.error("%s: can't compile %r: %s; left out", PROPAGATE_HEADERS, pattern, error)

    def passes(name: str) -> bool:
        return name.lower() not in _NEVER_PASSED and any(p.search(name) for p in compiled)

    def passed(raw: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
        if not compiled:
            return []
        pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in raw)
        named = (("-".join(map(str.capitalize, name.split("-"))), value) for name, value in pairs)
        return [(name, value) for name, value in named if passes(name)]

    return passed


class Router:
    """Any path and method runs the graph; /readyz is the probe, which 503 tells that it is not
    `ready` any more. Closed by the ASGI lifespan."""

    def __init__(
        self,
        root: Call,
        client: Client,
        timeouts: RouterTimeouts,
        headers: HeaderFilter,
        max_body_bytes: int = MAX_BODY_BYTES,
        name: str = "",
    ) -> None:
        self.timeouts = timeouts
        self.name = name
        self.ready = True
        self._max_body_bytes = max_body_bytes
        self._root = root
        self._client = client
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
        elif scope["path"] == READY_PATH:
            await answer(send, Reply(200 if self.ready else 503, b""))
        else:
            headers = passed_on_of(scope["headers"])
            with forwarded_headers(headers):  # which name it in the log
                if tracing():
                    await self._traced(headers, scope, receive, send)
                else:
                    await self._serve(scope, receive, send)

    async def _traced(
        self, headers: Mapping[str, str], scope: Scope, receive: Receive, send: Send
    ) -> None:
        about = {"http.request.method": scope["method"], "hem.graph": self.name}
        with server_span(f"graph {self.name}".strip(), headers, about) as span:

            async def sent(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set({"http.response.status_code": message["status"]})
                    if message["status"] >= 500:
                        span.fail(str(message["status"]))
                await send(message)

            await self._serve(scope, receive, sent)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self.timeouts.server_write or None) as deadline:
                body = await self._body(scope, receive)
                if body is None:
                    return
                reply = await self._root(body, self._headers(scope["headers"]), True)
        except TimeoutError:
            limit = f"no answer within routerTimeouts.serverWrite ({self.timeouts.server_write} s)"
            await fail(send, 500, f"{limit}; KServe's router would drop the connection")
        except asyncio.CancelledError:
            return  # the server stops, and has told its client
        except GraphFailure as error:
            unread = isinstance(error, RequestUnread)
            await fail(send, error.status, str(error), close=unread)
        except Exception as error:
            log.exception("the router failed")
            await fail(send, 500, f"{type(error).__name__}: {error}")
        else:
            if reply.events is None:
                await answer(send, reply)
            else:
                await pass_on(reply, reply.events, deadline.when(), receive, send)

    async def _body(self, scope: Scope, receive: Receive) -> bytes | None:
        """None where the client went away before its request was whole.

        Raises RequestUnread where it is too long or too slow.
        """
        self._refuse_above(_declared_length(scope["headers"]))
        message = await receive()
        chunks: list[bytes] = [message.get("body", b"")]
        if message.get("more_body"):
            limit = self.timeouts.server_read or None
            size = len(chunks[0])
            try:
                async with asyncio.timeout(limit):
                    while message.get("more_body"):
                        message = await receive()
                        chunks.append(message.get("body", b""))
                        size += len(chunks[-1])
                        self._refuse_above(size)
            except TimeoutError:
                cause = f"the request took longer than routerTimeouts.serverRead ({limit} s)"
                raise RequestUnread(500, cause) from None
        if message["type"] == "http.disconnect":
            return None
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    def _refuse_above(self, size: int) -> None:
        if size > self._max_body_bytes:
            raise RequestUnread(
                413,
                f"the body has more than {self._max_body_bytes} bytes, the most that the local "
                "router takes",
            )

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})


def create_app(
    graph: Mapping[str, Any],
    resolve: Callable[[str], str] | None = None,
    propagate_headers: Sequence[str] = (),
    max_body_bytes: int = MAX_BODY_BYTES,
    health_timeout: float = 0.0,
) -> Router:
    """The router of an InferenceGraph, or of its spec.

    `resolve` gives the infer URL of a serviceName (a LookupError means that there is none);
    `propagate_headers` are regular expressions. A service whose answer is overdue is given up where
    it doesn't tell its health within `health_timeout` seconds; 0: it isn't asked.

    Raises ConfigurationError for a graph that can't be run here. A graph that runs but can never
    work is not refused: the router answers what KServe's would (`inferencegraph.check` refuses such
    graphs).
    """
    spec = parse(graph)
    client = build_client(None)
    timeouts = spec.router_timeouts
    lookout = Lookout(client, health_timeout)

    def service(step: Step) -> StepService:
        url = step.service_url or _resolved(step.service_name, resolve)
        return StepService(client, url, timeouts.service_client, lookout)

    headers = header_filter(propagate_headers)
    return Router(bind(spec, service), client, timeouts, headers, max_body_bytes, _name(graph))


def _name(graph: Mapping[str, Any]) -> str:
    """Empty for a spec alone."""
    metadata = graph.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


class RequestUnread(GraphFailure):
    """The client's request is too long or too slow; its rest is not read."""

    def __init__(self, status: int, cause: str) -> None:
        super().__init__(cause)
        self.status = status


def _declared_length(headers: Iterable[tuple[bytes, bytes]]) -> int:
    return next((int(v) for name, v in headers if name == b"content-length" and v.isdigit()), 0)


def _resolved(service_name: str, resolve: Callable[[str], str] | None) -> str:
    if not service_name:
        return ""  # KServe's router calls the empty URL, and fails
    if resolve is None:
        raise ConfigurationError(
            f"serviceName {service_name!r} has no URL here; give the step a serviceUrl, or run the "
            "graph together with its services by `hem up`"
        )
    try:
        return resolve(service_name)
    except LookupError:
        raise ConfigurationError(f"there is no InferenceService {service_name!r}") from None
