"""A server on loopback that gives every request the same answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.listening import listening


@asynccontextmanager
async def answering(
    body: bytes, content_type: str = "application/json", status: int = 200
) -> AsyncIterator[str]:
    """Its URL."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 {status} X\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    async with listening(answer) as address:
        yield f"http://{address}"
