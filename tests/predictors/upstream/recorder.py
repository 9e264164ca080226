"""A proxy on loopback that records every byte that goes from an uplink to the far side."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from tests.listening import listening

HTTP2_PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA: Final = 0  # an HTTP/2 frame's type


@dataclass
class Recorder:
    """`sent` has the bytes of each connection to the far side."""

    far_port: int
    port: int = 0
    sent: list[bytearray] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.far_port)
        record = bytearray()
        self.sent.append(record)
        await asyncio.gather(_pass(reader, far_writer, record), _pass(far_reader, writer))

    def bodies(self) -> list[tuple[str, int, str | None]]:
        """Of each request: method, bytes and hash of its body, none where it is empty."""
        return sorted(
            (method, len(body), hashlib.sha256(body).hexdigest() if body else None)
            for record in self.sent
            for method, body in _requests(bytes(record))
        )


def _requests(record: bytes) -> list[tuple[str, bytes]]:
    found = []
    while record:
        head, _, record = record.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
        assert b"transfer-encoding" not in head.lower()
        found.append((head.split()[0].decode(), record[:length]))
        record = record[length:]
    return found


def grpc_messages(record: bytes) -> list[bytes]:
    """What one connection sent in frames of data: each call's message, in the order of calls."""
    assert record.startswith(HTTP2_PREFACE)
    record = record.removeprefix(HTTP2_PREFACE)
    streams: dict[int, bytes] = {}
    while record:
        length, kind = int.from_bytes(record[:3], "big"), record[3]
        stream = int.from_bytes(record[5:9], "big")
        if kind == _DATA:
            streams[stream] = streams.get(stream, b"") + record[9 : 9 + length]
        record = record[9 + length :]
    return [body[5:] for _, body in sorted(streams.items())]  # behind flag and length


async def _pass(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray | None = None
) -> None:
    try:
        with contextlib.suppress(OSError):
            while part := await reader.read(65536):
                if record is not None:
                    record += part
                writer.write(part)
                await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def recorded(far_port: int) -> AsyncIterator[Recorder]:
    recorder = Recorder(far_port)
    async with listening(recorder.serve) as address:
        recorder.port = int(address.rpartition(":")[2])
        yield recorder
