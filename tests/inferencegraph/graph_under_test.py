"""A graph's router and the services it calls, all on loopback ports of this process."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn

from inferencegraph.router import GraphServer, create_app
from inferencegraph.routing.server import bind_port


@dataclass
class CannedUpstreams:
    """An ASGI app: path /x gives the canned answer of upstream x, and is written down."""

    answers: Mapping[str, Mapping[str, Any]]
    calls: list[dict[str, Any]] = field(default_factory=list)

    async def __call__(self, scope, receive, send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        name = scope["path"].strip("/")
        headers = {key.decode(): value.decode("latin-1") for key, value in scope["headers"]}
        self.calls.append(
            {"upstream": name, "method": scope["method"], "body": body, "headers": headers}
        )
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


class _Server(uvicorn.Server):
    def capture_signals(self):
        return contextlib.nullcontext()


@contextlib.asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    """Serves an ASGI app; gives its URL."""
    bound = bind_port("127.0.0.1", 0)
    config = uvicorn.Config(
        app, lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=1
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task


@contextlib.asynccontextmanager
async def routing(
    graph: Mapping[str, Any], propagate_headers: Sequence[str] = ()
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the graph's router."""
    server = GraphServer(
        create_app(graph, propagate_headers=propagate_headers), bind_port("127.0.0.1", 0)
    )
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
