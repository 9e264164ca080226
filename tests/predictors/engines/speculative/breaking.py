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


class RollingLink(BreakingLink):
    """While servers are replaced one by one: what asks for the model that checks comes to one, all
    else to the port `rest`. `checks` counts the rounds."""

    def __init__(self, port: int, rest: int) -> None:
        super().__init__(port, 1_000_000)
        self._rest = rest
        self.checks = 0

    async def _connected(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        ways = [await asyncio.open_connection("127.0.0.1", p) for p in (self._port, self._rest)]
        (asked, to_asked), (rest, to_rest) = ways
        self._writers += [back, to_asked, to_rest]
        with suppress(ConnectionError):
            await asyncio.gather(
                self._pass(asked, back), self._pass(rest, back), self._part(near, to_asked, to_rest)
            )

    async def _part(
        self, near: asyncio.StreamReader, asked: asyncio.StreamWriter, rest: asyncio.StreamWriter
    ) -> None:
        to = rest
        while data := await near.read(65536):
            if data.startswith((b"GET /", b"POST /")):
                to = asked if data.startswith(b"GET /v1/speculative/model") else rest
            self.checks += data.count(b"POST /v1/speculative/rounds")
            to.write(data)
            await to.drain()
        asked.close()
        rest.close()
