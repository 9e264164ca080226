"""The events of a streamed answer, as servers send them and not only as the standard has them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import httpx
from httpx_sse import EventSource, ServerSentEvent

from predictors.upstream.client import CONNECTION_ERRORS


async def events(
    response: httpx.Response, patience: Callable[[], float | None]
) -> AsyncIterator[ServerSentEvent]:
    """Server-sent events to the end of the response, whatever content type it names.

    `patience` is asked after each event: seconds to wait for all that may still come, None for as
    long as the call may last. Once there is such a limit the rest is dispensable: where it is late
    or the connection breaks, the events end.
    """
    assert isinstance(response.stream, httpx.AsyncByteStream)
    response.stream = _WithEnd(response.stream)
    response.headers["content-type"] = "text/event-stream"
    response.encoding = "utf-8-sig"  # HTML's standard: always UTF-8, its byte order mark left out
    arriving = EventSource(response).aiter_sse()
    loop = asyncio.get_running_loop()
    deadline: float | None = None
    while True:
        try:
            if deadline is None:
                event = await anext(arriving, None)
            else:
                async with asyncio.timeout_at(deadline):
                    event = await anext(arriving, None)
        except CONNECTION_ERRORS:
            if deadline is None:
                raise
            return
        if event is None:
            return
        yield event
        seconds = patience()
        if seconds is not None and deadline is None:
            deadline = loop.time() + seconds


@dataclass(slots=True)
class _WithEnd(httpx.AsyncByteStream):
    """The body, and an empty line behind it: some servers leave out that of their last event."""

    body: httpx.AsyncByteStream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self.body:
            yield part
        yield b"\n\n"

    async def aclose(self) -> None:
        await self.body.aclose()
