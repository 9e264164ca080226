"""Passes bytes on as they come, in front of a side of the gateway; and plays faults in the middle
of a stream."""

import asyncio
import contextlib
from typing import Any, Final, Literal

StreamFault = Literal["garbled", "cut"]

# Of an answer that go through before it breaks: its head and some events.
BEFORE_BYTES: Final = 1500
GARBAGE: Final = b"data: {\x00\xff garbage\r\n\r\n" * 8


class StreamProxy:
    """`url` is where to call; `fault` may change while it runs."""

    def __init__(self, target: str) -> None:
        self._host, _, port = target.removeprefix("http://").rpartition(":")
        self._port = int(port)
        self.fault: StreamFault | None = None
        self.url = ""
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[Any]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._pass_on(reader, writer)
        finally:
            self._open.discard(task)
            writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target, to_target = await asyncio.open_connection(self._host, self._port)
        ends = {
            asyncio.ensure_future(self._requests(reader, to_target)),
            asyncio.ensure_future(self._answers(target, writer)),
        }
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)
            to_target.close()

    async def _requests(self, reader: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            target.write(data)
            await target.drain()

    async def _answers(self, target: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = 0
        while data := await target.read(65536):
            passed = 0 if data.startswith(b"HTTP/1.1 ") else passed + len(data)
            if self.fault is not None and passed > BEFORE_BYTES:
                if self.fault == "garbled":
                    writer.write(b"%x\r\n%b\r\n" % (len(GARBAGE), GARBAGE))
                    await writer.drain()
                return
            writer.write(data)
            await writer.drain()
