"""Requests at given moments, from a process of its own: what is measured is the server, and not
what one client's loads do to each other.

    python -m tests.benchmarks.feedback_load < LOAD.json > TAKEN.json
"""

import asyncio
import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import uvloop

CONNECTIONS = 32
START_SECONDS = 2.0  # until a process is there, and has all its connections
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True)
class Load:
    """POST requests to `url`, each at its moment, by time.perf_counter(), which all processes of a
    machine share. `body` is sent as it is, or, with `many`, so many feedbacks of requests whose
    ids begin with `prefix`."""

    url: str
    moments: Sequence[float]
    body: str = ""
    many: int = 0
    prefix: str = "r"

    def content(self, number: int) -> bytes:
        if not self.many:
            return self.body.encode()
        first = number * self.many
        ids = [f"{self.prefix}{each}" for each in range(first, first + self.many)]
        said = [{"request_id": each, "rating": 4, "key": each} for each in ids]
        return orjson.dumps(said if self.many > 1 else said[0])


@dataclass(frozen=True, slots=True)
class Taken:
    """Of one request, in milliseconds. `due`: from its moment to its answer, so that one that waits
    for a connection has waited, too. `sent`: from when it was sent; a timer is up to 1 ms late."""

    moment: float
    due: float
    sent: float


class Sending:
    """A load in a process that has begun; it ends with its last request."""

    def __init__(self, load: Load) -> None:
        self._out = tempfile.TemporaryFile()  # noqa: SIM115 - closed where it is read
        with tempfile.TemporaryFile() as given:
            given.write(orjson.dumps(asdict(load)))
            given.seek(0)
            command = [sys.executable, "-m", "tests.benchmarks.feedback_load"]
            self._process = subprocess.Popen(command, stdin=given, stdout=self._out, cwd=ROOT)

    def taken(self) -> list[Taken]:
        """At its end. Raises AssertionError where a request was not answered with 200."""
        assert self._process.wait() == 0
        self._out.seek(0)
        with self._out as out:
            return [Taken(**each) for each in orjson.loads(out.read())]


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


async def send(load: Load) -> list[Taken]:
    path = urlsplit(load.url).path
    head = f"POST {path} HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\n".encode()
    taken: list[Taken] = []

    async def sender(first: int) -> None:
        connection = await connected(load.url)
        for number in range(first, len(load.moments), CONNECTIONS):
            moment = load.moments[number]
            if (wait := moment - time.perf_counter()) > 0:
                await asyncio.sleep(wait)
            body = load.content(number)
            begun = time.perf_counter()
            await connection.post(head, body)
            ended = time.perf_counter()
            taken.append(Taken(moment, (ended - moment) * 1000, (ended - begun) * 1000))
        connection.close()

    await asyncio.gather(*(sender(first) for first in range(CONNECTIONS)))
    return taken


def steady(rate: float, seconds: float) -> list[float]:
    begin = time.perf_counter() + START_SECONDS
    return [begin + number / rate for number in range(int(rate * seconds))]


def percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    load = Load(**orjson.loads(sys.stdin.buffer.read()))
    gc.disable()  # what is looked at is how long the server takes
    taken = uvloop.run(send(load))
    sys.stdout.buffer.write(orjson.dumps([asdict(each) for each in taken]))


if __name__ == "__main__":
    main()
