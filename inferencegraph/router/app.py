"""The ASGI app of one graph.

Like KServe's router it buffers whole bodies, passes on neither path nor, unless PROPAGATE_HEADERS
says so, headers, and goes on when its client has gone away.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import httpx
import orjson

from inferencegraph.router.body_types import guessed_type
from inferencegraph.router.execution import Call
from inferencegraph.router.headers import HeaderFilter
from inferencegraph.router.json_bodies import is_json
from inferencegraph.router.spec import RouterTimeouts
from inferencegraph.router.step import GraphFailure, Reply

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

READY_PATH: Final = "/readyz"
_BODILESS: Final = frozenset({204, 304})

log = logging.getLogger(__name__)


class ClientGone(Exception):
    """The client went away before its request was whole: nobody is left to answer."""


class Router:
    """Any path and method runs the graph; /readyz is the probe. Closed by the ASGI lifespan."""

    def __init__(
        self, root: Call, client: httpx.AsyncClient, timeouts: RouterTimeouts, headers: HeaderFilter
    ) -> None:
        self.timeouts = timeouts
        self._root = root
        self._client = client
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
        elif scope["path"] == READY_PATH:
            await _answer(send, Reply(200, b""))
        else:
            await self._serve(scope, receive, send)

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self.timeouts.server_write or None):
                body = await self._body(receive)
                reply = await self._root(body, self._headers(scope["headers"]))
        except ClientGone:
            return
        except TimeoutError:
            limit = f"no answer within routerTimeouts.serverWrite ({self.timeouts.server_write} s)"
            await _fail(send, 500, f"{limit}; KServe's router would drop the connection")
        except GraphFailure as error:
            await _fail(send, error.status, str(error))
        except Exception as error:
            log.exception("the router failed")
            await _fail(send, 500, f"{type(error).__name__}: {error}")
        else:
            await _answer(send, reply)

    async def _body(self, receive: Receive) -> bytes:
        message = await receive()
        chunks: list[bytes] = [message.get("body", b"")]
        if message.get("more_body"):
            limit = self.timeouts.server_read or None
            try:
                async with asyncio.timeout(limit):
                    while message.get("more_body"):
                        message = await receive()
                        chunks.append(message.get("body", b""))
            except TimeoutError:
                cause = f"the request took longer than routerTimeouts.serverRead ({limit} s)"
                raise GraphFailure(cause) from None
        if message["type"] == "http.disconnect":
            raise ClientGone
        return chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await self.aclose()
        await send({"type": "lifespan.shutdown.complete"})


async def _fail(send: Send, status: int, cause: str) -> None:
    log.warning("graph failed with %d: %s", status, cause)
    error = {"error": "Failed to process request", "cause": cause}
    await _answer(send, Reply(status, orjson.dumps(error)))


async def _answer(send: Send, reply: Reply) -> None:
    headers: list[tuple[bytes, bytes]] = []
    body = b"" if reply.status in _BODILESS else reply.body
    if body:
        kind = "application/json" if is_json(body) else guessed_type(body)
        headers.append((b"content-type", kind.encode()))
    if reply.status not in _BODILESS:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
