"""Connections: how long one may take to be made, and who is told of what comes on it."""

import asyncio
import fcntl
import functools
import sys
import termios
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from predictors.upstream.arrival import ARRIVAL, RECEIVED, Arrival


class ToldHandler(ResponseHandler):
    """A connection that tells the watch of the call that it serves what comes, from the first byte
    on: a head may drip, too. What comes is also counted."""

    arrival: Arrival | None = None
    received: Callable[[int], None] | None = None

    def data_received(self, data: bytes) -> None:
        if data:  # else aiohttp goes on with what it has, behind each read
            if self.received is not None:
                self.received(len(data))
            if self.arrival is not None and not self.arrival.headed:
                self.arrival.head(data)
        super().data_received(data)
        # aiohttp tells who waits for a head; who reads a body would wait for ever.
        error = self.exception()
        if isinstance(error, aiohttp.http_exceptions.HttpProcessingError) and self._payload:
            self._payload.set_exception(aiohttp.ClientPayloadError(f"not HTTP: {error.message}"))


def unsent(transport: asyncio.Transport | None) -> int:
    """Bytes that wait here, and in the kernel, for the other side to take them."""
    if transport is None or transport.is_closing():
        return 0
    try:
        descriptor = transport.get_extra_info("socket").fileno()
        queued = fcntl.ioctl(descriptor, termios.TIOCOUTQ, bytes(4))
    except (OSError, ValueError):
        return 0
    return transport.get_write_buffer_size() + int.from_bytes(queued, sys.byteorder)


# To connect takes a handful of turns of the loop; it has at least these many.
TURNS: Final = 20


class PatientConnector(aiohttp.TCPConnector):
    """A connector whose `sock_connect` timeout passes only while the event loop turns.

    A burst of requests can keep the loop busy for seconds. Its timers then end, all at once,
    connections that the kernel has long made, and a circuit breaker opens to a server that is
    well. Its connections tell the watch of a call what comes.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = functools.partial(ToldHandler, loop=self._loop)  # type: ignore[assignment]

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Any],
        timeout: aiohttp.ClientTimeout,
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        if isinstance(connection.protocol, ToldHandler):
            arrival = connection.protocol.arrival = ARRIVAL.get()
            connection.protocol.received = RECEIVED.get()
            if arrival is not None:
                arrival.unsent = functools.partial(unsent, connection.transport)
        return connection

    async def _create_connection(
        self, req: aiohttp.ClientRequest, traces: list[Any], timeout: aiohttp.ClientTimeout
    ) -> ResponseHandler:
        seconds = timeout.sock_connect
        if seconds is None:
            return await super()._create_connection(req, traces, timeout)
        opening = asyncio.ensure_future(
            super()._create_connection(req, traces, aiohttp.ClientTimeout())
        )
        try:
            for _ in range(TURNS):
                done, _ = await asyncio.wait([opening], timeout=seconds / TURNS)
                if done:
                    return opening.result()
            raise aiohttp.ConnectionTimeoutError(f"no connection to {req.url} in {seconds:g} s")
        except BaseException:  # it may have been made in the very turn that cancels this
            opening.cancel()
            await asyncio.wait([opening])
            if not opening.cancelled() and opening.exception() is None:
                opening.result().close()
            raise
