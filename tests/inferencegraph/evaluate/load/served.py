"""A server on loopback whose answers a test scripts, with what it was asked; in a thread."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Final

from tests.conftest import free_port

JSON_HEAD: Final = b"HTTP/1.1 %d OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
SSE_HEAD: Final = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
)


def v2(text: str = "4", tokens: int = 2, **parameters: Any) -> bytes:
    outputs = [
        {"name": "text_output", "shape": [1], "datatype": "BYTES", "data": [text]},
        {"name": "completion_tokens", "shape": [1], "datatype": "INT32", "data": [tokens]},
    ]
    return json.dumps({"model_name": "m", "parameters": parameters, "outputs": outputs}).encode()


def whole(body: bytes, status: int = 200) -> bytes:
    """A response that keeps its connection."""
    return JSON_HEAD % (status, len(body)) + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def event(body: Any) -> bytes:
    data = body if isinstance(body, str) else json.dumps(body)
    return f"data: {data}\n\n".encode()


def delta(content: str | None, finish: str | None = None) -> bytes:
    part = {} if content is None else {"content": content}
    return event({"choices": [{"index": 0, "delta": part, "finish_reason": finish}]})


@dataclass(frozen=True)
class Asked:
    """One POST, when it had come."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    at: float
    connection: int

    @property
    def text(self) -> str:
        return str(self.body["inputs"][0]["data"][0])


Answer = Callable[[Asked], Awaitable[bytes | None]]


@dataclass
class Served:
    """Its `answer` gives the bytes of a response; None: it closes the connection."""

    answer: Answer
    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    most_at_once: int = 0
    _at_once: int = 0
    _connections: int = 0

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        number = self._connections
        try:
            async for asked in _requests(reader, number):
                self.asked.append(asked)
                self._at_once += 1
                self.most_at_once = max(self.most_at_once, self._at_once)
                given = await self.answer(asked)
                self._at_once -= 1
                if given is None:
                    return
                writer.write(given)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()


async def _requests(reader: asyncio.StreamReader, number: int) -> AsyncIterator[Asked]:
    while line := (await reader.readline()).decode():
        headers = {}
        while (header := (await reader.readline()).decode().strip()) != "":
            name, _, value = header.partition(":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        yield Asked(line.split()[1], headers, json.loads(body or b"{}"), perf_counter(), number)


async def at_once(asked: Asked) -> bytes:
    return whole(v2())


@contextlib.contextmanager
def served(answer: Answer = at_once, port: int | None = None) -> Iterator[Served]:
    made = Served(answer)
    ready, ends = threading.Event(), []

    async def serve() -> None:
        loop, over = asyncio.get_running_loop(), asyncio.Event()
        ends.append(lambda: loop.call_soon_threadsafe(over.set))
        chosen = free_port() if port is None else port
        server = await asyncio.start_server(made.connection, "127.0.0.1", chosen, backlog=1024)
        made.url = f"http://127.0.0.1:{chosen}"
        ready.set()
        await over.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield made
    finally:
        ends[0]()
        thread.join()
