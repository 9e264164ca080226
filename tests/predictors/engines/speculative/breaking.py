"""Links that break after so many calls: for good, or so that they lead elsewhere."""

import asyncio
from contextlib import suppress
from types import TracebackType


class BreakingLink:
    """To a port of this machine. `calls`, and `events` of streams, are let through; then all
    connections end, and none is taken any more."""

    def __init__(self, port: int, calls: int, events: int = 1_000_000) -> None:
        self._port = port
        self._left = calls
        self._events = events
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> str:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._break()

    async def _connected(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        far, there = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [back, there]
        with suppress(ConnectionError):
            await asyncio.gather(self._pass(near, there, counts=True), self._pass(far, back))

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool = False
    ) -> None:
        while data := await reader.read(65536):
            if counts:
                self._left -= data.count(b"POST /")
            else:
                self._events -= data.count(b"data: ")
            if min(self._left, self._events) < 0:
                return self._break()
            writer.write(data if counts else self._passed(data))
            await writer.drain()
        writer.close()

    def _passed(self, data: bytes) -> bytes:
        """What comes back, as it is given on."""
        return data

    def _break(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()


class SwitchingLink(BreakingLink):
    """From its break on it leads to the port `then`: as where a server is started again with
    another model."""

    def __init__(self, port: int, then: int, calls: int) -> None:
        super().__init__(port, calls)
        self._then = then

    def _break(self) -> None:
        self._port, self._left = self._then, 1_000_000
        for writer in self._writers:
            writer.transport.abort()

    async def __aexit__(self, *of_an_error: object) -> None:
        self._server.close()
        self._break()


class UsagelessLink(BreakingLink):
    """Never breaks, and hides what the server tells of its tokens."""

    def __init__(self, port: int) -> None:
        super().__init__(port, 1_000_000)

    def _passed(self, data: bytes) -> bytes:
        return data.replace(b'"usage"', b'"other"')
