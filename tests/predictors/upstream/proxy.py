"""A proxy on loopback that takes every host for one port of this machine."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.listening import listening


@dataclass
class Proxy:
    """`asked` are the first lines of the requests that it got, `headers` those of the last."""

    far_port: int
    port: int = 0
    asked: list[str] = field(default_factory=list)
    headers: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        first, _, self.headers = head.decode().partition("\r\n")
        method, target, version = first.split()
        self.asked.append(first)
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.far_port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        else:
            path = "/" + target.split("/", 3)[3]
            far_writer.write(f"{method} {path} {version}\r\n{self.headers}".encode())
        await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        with contextlib.suppress(OSError):
            while part := await reader.read(65536):
                writer.write(part)
                await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def proxy_to(far_port: int) -> AsyncIterator[Proxy]:
    proxy = Proxy(far_port)
    async with listening(proxy.serve) as address:
        proxy.port = int(address.rpartition(":")[2])
        yield proxy
