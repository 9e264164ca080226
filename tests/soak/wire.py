"""HTTP messages as bytes on asyncio's streams: read whole, passed on as they are."""

import asyncio
import re
import socket
import struct
from dataclasses import dataclass

LONGEST_HEAD = 1 << 16
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Message:
    """`head` ends with its empty line. A body has a Content-Length: ours are never chunked."""

    head: bytes
    body: bytes


async def read_message(reader: asyncio.StreamReader) -> Message:
    """Raises IncompleteReadError where the other side ends before the message does."""
    head = await reader.readuntil(b"\r\n\r\n")
    found = _LENGTH.search(head)
    return Message(head, await reader.readexactly(int(found[1])) if found else b"")


def message(
    status: int,
    body: bytes,
    content_type: str = "application/json",
    length: int | None = None,
    **headers: str,
) -> Message:
    """A response; `length` is the Content-Length where that is not the body's."""
    lines = [
        f"HTTP/1.1 {status} X",
        f"content-type: {content_type}",
        f"content-length: {len(body) if length is None else length}",
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return Message("\r\n".join(lines).encode() + b"\r\n\r\n", body)


def reset(writer: asyncio.StreamWriter) -> None:
    """Ends the connection with RST, not FIN: what is not sent yet is thrown away."""
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
