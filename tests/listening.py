"""A server on loopback in the event loop of a test: how it answers is a coroutine of the test's."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

Connection = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(
    connection: Connection,
    *,
    port: int = 0,
    tls: ssl.SSLContext | None = None,
    bound: socket.socket | None = None,
) -> AsyncIterator[str]:
    """Its address, `host:port`. A connection is closed where `connection` returns; at the end
    nothing is left of any. `bound`: listens at this socket."""
    open_: dict[asyncio.Task[Any], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        open_[task] = writer
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await connection(reader, writer)
        finally:
            writer.close()
            del open_[task]

    bound = bound or socket.create_server(("127.0.0.1", port))
    server = await asyncio.start_server(serve, sock=bound, ssl=tls)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        left = dict(open_)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        for writer in left.values():
            writer.transport.abort()
        await asyncio.sleep(0)  # in which the sockets close
