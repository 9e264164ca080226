"""A far side that sends its answers as a test says, part by part; health is answered at once."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

from tests.listening import listening

# Seconds to wait, then bytes to send.
Part = tuple[float, bytes]

HEALTHY: Final = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


def head(content_type: str = "application/json") -> bytes:
    """Of a body that ends with the connection."""
    return f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\n\r\n".encode()


def v2(text: str) -> bytes:
    output = {"name": "text_output", "datatype": "BYTES", "shape": [1], "data": [text]}
    return json.dumps({"model_name": "far", "outputs": [output]}).encode()


def completion(text: str) -> bytes:
    return json.dumps({"choices": [{"index": 0, "message": {"content": text}}]}).encode()


def event(text: str, finish: str | None = None) -> bytes:
    body = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def dripped(data: bytes, seconds: float = 1.0) -> list[Part]:
    return [(seconds, data[i : i + 1]) for i in range(len(data))]


@contextlib.asynccontextmanager
async def slow_side(
    parts: Sequence[Part], health: Callable[[], bool] = lambda: True
) -> AsyncIterator[str]:
    """Its URL. Every POST is answered by `parts`, every GET as healthy while `health()` is true,
    and never else."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if request.startswith("get"):
            if not health():
                await asyncio.sleep(60)
            writer.write(HEALTHY)
            await writer.drain()
            return
        length = next(li for li in request.split("\r\n") if li.startswith("content-length:"))
        await reader.readexactly(int(length.split(":")[1]))
        for seconds, data in parts:
            await asyncio.sleep(seconds)
            writer.write(data)
            await writer.drain()

    async with listening(answer) as address:
        yield f"http://{address}"
