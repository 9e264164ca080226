"""What a graph's client gets: a whole answer, an error, or an event stream as it comes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

import orjson

from inferencegraph.router.bodies import content_type
from inferencegraph.router.step import EventStream, GraphFailure, Reply
from predictors.contract import FAILURE_HEADER

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_BODILESS: Final = frozenset({204, 304})

log = logging.getLogger(__name__)


async def answer(send: Send, reply: Reply, *, close: bool = False) -> None:
    headers = [*([(b"connection", b"close")] if close else []), *_failure(reply)]
    body = b"" if reply.status in _BODILESS else reply.body
    if body:
        headers.append((b"content-type", content_type(body).encode()))
    if reply.status not in _BODILESS:
        headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def fail(send: Send, status: int, cause: str, *, close: bool = False) -> None:
    log.warning("graph failed with %d: %s", status, cause)
    error = {"error": "Failed to process request", "cause": cause}
    await answer(send, Reply(status, orjson.dumps(error)), close=close)


async def pass_on(
    reply: Reply, events: EventStream, until: float | None, receive: Receive, send: Send
) -> None:
    """Sends `events` until their end, until the client leaves, or `until` (the loop's time).

    Where they break off or are late it returns without the end of the answer, and the server closes
    the connection: to the client a part is never the whole.
    """
    passing = asyncio.create_task(_send_events(reply, events, send))
    leaving = asyncio.create_task(_left(receive))
    seconds = None if until is None else until - asyncio.get_running_loop().time()
    try:
        await asyncio.wait({passing, leaving}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if passing.done():
            passing.result()
        elif not leaving.done():
            log.warning("an event stream was cut off: no end within routerTimeouts.serverWrite")
    except GraphFailure as error:
        log.warning("an event stream broke off: %s", error)
    except asyncio.CancelledError:
        return  # the server stops, and has closed the connection
    finally:
        passing.cancel()
        leaving.cancel()
        await asyncio.gather(passing, leaving, return_exceptions=True)
        await events.aclose()


async def _send_events(reply: Reply, events: EventStream, send: Send) -> None:
    """Raises GraphFailure where they break off."""
    headers = [
        *_failure(reply),
        (b"content-type", events.content_type.encode("latin-1", "replace")),
        (b"x-accel-buffering", b"no"),  # nginx and its kin pass events on as they come
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    while (part := await events.part()) is not None:
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def _left(receive: Receive) -> None:
    """Returns when the client has gone away."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _failure(reply: Reply) -> list[tuple[bytes, bytes]]:
    """KServe's router has no such header; its body and status are the same."""
    if not reply.failure:
        return []
    return [(FAILURE_HEADER.encode(), reply.failure.encode("latin-1", "replace"))]
