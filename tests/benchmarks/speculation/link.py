"""A TCP proxy that delays: what a link of some length does, without its losses and its bandwidth.

    python -m tests.benchmarks.speculation.link --to 127.0.0.1:8090 --port 9090 --round_trip 50

Each direction takes half of the round trip, and keeps its order. A connection is taken at once: its
first byte does not wait for a handshake. Timers of asyncio are up to a millisecond late.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
from collections import deque
from multiprocessing.sharedctypes import Synchronized
from typing import Any, Final

from tests.conftest import free_port

PIECE_BYTES: Final = 1 << 16
READY_SECONDS: Final = 30.0


class Counts:
    """Bytes that went through, and seconds of a round trip: another process may read and set
    them."""

    def __init__(self, round_trip: float) -> None:
        self.round_trip: Synchronized[float] = multiprocessing.Value("d", round_trip)
        self.sent: Synchronized[int] = multiprocessing.Value("q", 0)
        self.received: Synchronized[int] = multiprocessing.Value("q", 0)


async def serve(to: str, port: int, counts: Counts, ready: Any = None) -> None:
    """For ever, in front of `to`, "host:port"."""
    host, _, far_port = to.rpartition(":")

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            far, to_far = await asyncio.open_connection(host, int(far_port))
            try:
                await asyncio.gather(
                    _delayed(reader, to_far, counts.round_trip, counts.sent),
                    _delayed(far, writer, counts.round_trip, counts.received),
                )
            finally:
                to_far.close()
        writer.close()

    async with await asyncio.start_server(connection, "127.0.0.1", port) as server:
        if ready is not None:
            ready.set()
        await server.serve_forever()


async def _delayed(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    round_trip: "Synchronized[float]",
    count: "Synchronized[int]",
) -> None:
    """Until one end closes, and what was under way has arrived."""
    loop = asyncio.get_running_loop()
    way: deque[tuple[float, bytes]] = deque()
    news = asyncio.Event()

    async def deliver() -> None:
        while True:
            while not way:
                news.clear()
                await news.wait()
            due, piece = way.popleft()
            if (left := due - loop.time()) > 0:
                await asyncio.sleep(left)
            if not piece:
                writer.write_eof()
                return
            writer.write(piece)
            await writer.drain()

    delivering = asyncio.ensure_future(deliver())
    try:
        piece = b"-"
        while piece:
            piece = await reader.read(PIECE_BYTES)
            count.value += len(piece)
            way.append((loop.time() + round_trip.value / 2, piece))
            news.set()
        await delivering
    finally:
        delivering.cancel()


class Link:
    """The proxy as a process of its own, so that nobody's computing makes it late."""

    def __init__(self, to: str, round_trip: float = 0.0) -> None:
        """`to`: "host:port"; `round_trip`: seconds."""
        self._counts = Counts(round_trip)
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._ready = multiprocessing.Event()
        self._process = multiprocessing.Process(
            target=_run, args=(to, port, self._counts, self._ready), daemon=True
        )

    def __enter__(self) -> "Link":
        self._process.start()
        if not self._ready.wait(READY_SECONDS):
            raise AssertionError("the link is not ready")
        return self

    def __exit__(self, *_: object) -> None:
        """Killed: a process may have inherited a handler which ignores that it shall end."""
        self._process.kill()
        self._process.join()

    @property
    def round_trip(self) -> float:
        return self._counts.round_trip.value

    @round_trip.setter
    def round_trip(self, seconds: float) -> None:
        """Of what is sent from now on."""
        self._counts.round_trip.value = seconds

    @property
    def bytes(self) -> tuple[int, int]:
        """Sent to the far side, received from it, so far."""
        return self._counts.sent.value, self._counts.received.value


def _run(to: str, port: int, counts: Counts, ready: Any = None) -> None:
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(to, port, counts, ready))


def main() -> None:
    parser = argparse.ArgumentParser(description="A TCP proxy that delays each direction.")
    parser.add_argument("--to", required=True, help="host:port of the server behind it")
    parser.add_argument("--port", type=int, required=True, help="where it listens, on 127.0.0.1")
    parser.add_argument("--round_trip", type=float, default=0.0, help="milliseconds")
    options = parser.parse_args()
    counts = Counts(options.round_trip / 1000)
    _run(options.to, options.port, counts)
    print(f"{counts.sent.value} bytes sent, {counts.received.value} received")


if __name__ == "__main__":
    main()
