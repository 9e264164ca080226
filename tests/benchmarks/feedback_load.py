"""Requests at a steady rate over few connections, with as little work of their own as can be: what
is measured is the server."""

import asyncio
import time
from collections.abc import Callable
from urllib.parse import urlsplit

CONNECTIONS = 32


class Connection:
    """One HTTP/1.1 connection that stays open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, head: bytes, body: bytes) -> bytes:
        """The answer's body. Raises AssertionError where it is not 200."""
        self._writer.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        for line in answer.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                return await self._reader.readexactly(int(line.partition(b":")[2]))
        raise AssertionError(answer)

    def close(self) -> None:
        self._writer.close()


async def connected(url: str) -> Connection:
    parts = urlsplit(url)
    return Connection(*await asyncio.open_connection(parts.hostname, parts.port))


async def at_rate(
    url: str, path: str, bodies: Callable[[int], bytes], rate: float, seconds: float
) -> list[float]:
    """Milliseconds from when each request was due to its answer: one that waits for a connection
    has waited, too."""
    head = f"POST {path} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n".encode()
    count, taken = int(rate * seconds), []
    begin = time.perf_counter() + 0.2

    async def sender(first: int) -> None:
        connection = await connected(url)
        for number in range(first, count, CONNECTIONS):
            due = begin + number / rate
            if (wait := due - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            await connection.post(head, bodies(number))
            taken.append((time.perf_counter() - due) * 1000)
        connection.close()

    await asyncio.gather(*(sender(first) for first in range(CONNECTIONS)))
    return taken


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
