"""A far side on a real socket that misbehaves as its query says; for tests of what calls others.

It answers as an OpenAI-compatible server and as a predictor. The query's first word picks what it
does; any other query comes back in capitals.
"""

import asyncio
import contextlib
import gzip
import json
import ssl
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

MODEL: Final = "far"


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def query(self) -> str:
        if "messages" in self.body:
            return str(self.body["messages"][-1]["content"])
        return str(self.body["prompt"] if "prompt" in self.body else _text_input(self.body))


class Leave(Exception):
    """Closes the connection."""


Answer = Callable[["FarSide", Request, asyncio.StreamWriter], Awaitable[None]]


class FarSide:
    """Listens in a thread of its own; `requests` are those it got."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.requests: list[Request] = []
        self.asked: Counter[str] = Counter()
        self.hangs = False
        self._context = context
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "FarSide":
        self._thread.start()
        self._started.wait()
        scheme = "https" if self._context else "http"
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=self._context)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._stop.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks or [asyncio.ensure_future(asyncio.sleep(0))])

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, Leave):
                while True:
                    request = await _read(reader)
                    self.requests.append(request)
                    await self._answer(request, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer(self, request: Request, writer: asyncio.StreamWriter) -> None:
        if self.hangs:
            await asyncio.sleep(60)
        if request.path.partition("?")[0].endswith("/models"):
            await send(writer, 200, {"object": "list", "data": [{"id": MODEL}]})
            return
        if request.body is None:  # health
            await send(writer, 200, {"ready": True})
            return
        self.asked[request.query] += 1
        await ANSWERS.get(request.query.split()[0], answers)(self, request, writer)


async def send(
    writer: asyncio.StreamWriter, status: int, body: Any, headers: Mapping[str, str] | None = None
) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(content)}"]
    given = {"content-type": "application/json", **(headers or {})}
    lines += [f"{name}: {value}" for name, value in given.items()]
    writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + content)
    await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(first.split()[1], headers, json.loads(body) if body else None)


def _text_input(body: Any) -> str:
    return str(body["inputs"][0]["data"][0])


def body_of(request: Request, text: str) -> Any:
    if request.path.startswith("/v2"):
        outputs = [{"name": "text_output", "datatype": "BYTES", "shape": [1], "data": [text]}]
        return {"model_name": MODEL, "outputs": outputs}
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "text": text}
    return {"model": MODEL, "choices": [choice]}


async def answers(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    await send(writer, 200, body_of(request, request.query.upper()))


async def large(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    """`large N`: an answer of N characters, its second half a second after the first."""
    content = json.dumps(body_of(request, "x" * int(request.query.split()[1]))).encode()
    half = len(content) // 2
    writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(content)}\r\n\r\n".encode())
    writer.write(content[:half])
    await writer.drain()
    await asyncio.sleep(1)
    writer.write(content[half:])
    await writer.drain()


async def html(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    await send(writer, 200, b"<html>Login</html>", {"content-type": "text/html"})


async def cut(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"choices": [')
    await writer.drain()
    raise Leave


async def drop(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    raise Leave


async def late(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(float(request.query.split()[1]))
    await answers(far, request, writer)


async def noise(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"\x00\x01\x02 no HTTP at all\r\n\r\n")
    await writer.drain()
    raise Leave


async def status(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    """`status N`; with the words of OpenAI for it, which repeat the key."""
    key = request.headers.get("authorization", "no key")
    error = {"message": f"the far side's words, and {key}", "type": "x", "code": None}
    await send(writer, int(request.query.split()[1]), {"error": error})


async def charset(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    """A codec of Python's that makes no text of bytes."""
    await send(writer, 500, b"!!", {"content-type": "text/plain; charset=base64"})


async def parrot(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    """`parrot N`: 500 with the key, the characters from N on."""
    key = request.headers.get("authorization", "no key")
    await send(writer, 500, {"error": "x" * int(request.query.split()[1]) + key})


async def date(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    headers = {"retry-after": "21 Oct 99999999999999999999 07:28:00 GMT"}
    await send(writer, 503, {"error": "later"}, headers)


async def endless(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    """`endless STATUS CODING`: a body without an end."""
    _, code, coding = request.query.split()
    head = f"HTTP/1.1 {code} X\r\ncontent-type: text/event-stream\r\ncontent-encoding: {coding}\r\n"
    writer.write(head.encode() + b"transfer-encoding: chunked\r\n\r\n")
    chunk = bytes(1_000_000)
    if coding != "identity":
        chunk = await asyncio.to_thread(gzip.compress, bytes(100_000_000))
    while True:
        writer.write(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        await writer.drain()


async def storm(far: FarSide, request: Request, writer: asyncio.StreamWriter) -> None:
    """`storm TIMES SECONDS`: 429 that often, with Retry-After where SECONDS are given."""
    words = request.query.split()
    if far.asked[request.query] > int(words[1]):
        await answers(far, request, writer)
        return
    headers = {"retry-after": words[2]} if len(words) > 2 else {}
    await send(writer, 429, {"error": {"message": "Rate limit reached"}}, headers)


ANSWERS: Final[Mapping[str, Answer]] = {
    "html": html,
    "charset": charset,
    "cut": cut,
    "date": date,
    "endless": endless,
    "drop": drop,
    "large": large,
    "late": late,
    "noise": noise,
    "parrot": parrot,
    "status": status,
    "storm": storm,
}
