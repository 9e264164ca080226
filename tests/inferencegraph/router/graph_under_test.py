"""Graphs' routers and the services they call, on loopback ports of this process."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from inferencegraph.router.app import create_app
from inferencegraph.router.server import GraphServer, bind_port


@dataclass
class CannedUpstreams:
    """An ASGI app: path /x gives the canned answer of upstream x, and is written down."""

    answers: Mapping[str, Mapping[str, Any]]
    calls: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        chunks, more = [], True
        while more:
            message = await receive()
            chunks.append(message.get("body", b""))
            more = message.get("more_body", False)
        body, name = b"".join(chunks), scope["path"].strip("/")
        headers = {key.decode(): value.decode("latin-1") for key, value in scope["headers"]}
        method = scope["method"]
        self.calls.append({"upstream": name, "method": method, "body": body, "headers": headers})
        answer = self.answers[name]
        await asyncio.sleep(answer.get("delay_s", 0))
        content = body if answer.get("echo") else as_bytes(answer["body"])
        start = {"status": answer.get("status", 200), "headers": answer.get("headers", [])}
        await send({"type": "http.response.start", **start})
        await send({"type": "http.response.body", "body": content})


def as_bytes(body: Any) -> bytes:
    """Text and bytes as they are, anything else as JSON."""
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()


class Stage:
    """A port where an ASGI app answers that may be exchanged while it runs."""

    def __init__(self) -> None:
        self.app: Any = None
        self._bound = bind_port("127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._bound.getsockname()[1]}"
        config = uvicorn.Config(self._app, interface="asgi3", lifespan="off", log_level="warning")
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)

    async def __aenter__(self) -> "Stage":
        self._task = asyncio.create_task(self._server.serve(sockets=[self._bound]))
        while not self._server.started:
            await asyncio.sleep(0.01)
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        assert self._task is not None
        await self._task


class _Server(uvicorn.Server):
    def capture_signals(self) -> Any:
        return contextlib.nullcontext()


@contextlib.asynccontextmanager
async def routing(
    graph: Mapping[str, Any], propagate_headers: Sequence[str] = (), health_timeout: float = 0.0
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the graph's own server."""
    app = create_app(graph, propagate_headers=propagate_headers, health_timeout=health_timeout)
    server = GraphServer(app, bind_port("127.0.0.1", 0))
    await server.start()
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=20) as client:
            yield client
    finally:
        await server.stop()


def sequence(*steps: Mapping[str, Any], **timeouts: int) -> dict[str, Any]:
    """The spec of a graph with one Sequence."""
    nodes = {"root": {"routerType": "Sequence", "steps": list(steps)}}
    return {"nodes": nodes, "routerTimeouts": timeouts}
