"""A model server that answers each POST as a test says, and keeps what it was asked; a GET, as of
its health, is answered at once."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from tests.listening import listening
from tests.predictors.upstream.slow_side import HEALTHY, head

SSE: Final = "text/event-stream"
DONE: Final = b"data: [DONE]\n\n"

PAUSE: Final = 0.05  # seconds behind a part

Body = dict[str, Any]


@dataclass
class Side:
    """`reached` is set by a question whose answer does not end, `gone` once its caller has closed
    the connection, which `left` says the time of (perf_counter)."""

    url: str = ""
    asked: list[Body] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    left: float = 0.0


def usage(prompt: int, completion: int, cached: int | None = None) -> Body:
    counts: Body = {"prompt_tokens": prompt, "completion_tokens": completion}
    if cached is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": cached}
    return {**counts, "total_tokens": prompt + completion}


def whole(model: str, *texts: str, **fields: Any) -> bytes:
    """A choice for each of `texts`."""
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text},
            "finish_reason": "stop",
        }
        for index, text in enumerate(texts)
    ]
    body = {"id": "c", "object": "chat.completion", "model": model, "choices": choices, **fields}
    return head() + json.dumps(body).encode()


def event(model: str, text: str | None, finish: str | None = None) -> bytes:
    delta = {} if text is None else {"content": text}
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    body = {"id": "c", "model": model, "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def streamed(model: str, *texts: str, **fields: Any) -> bytes:
    """`fields` come in an event of their own behind the choices, as usage does."""
    events = [*(event(model, text) for text in texts), event(model, None, "stop")]
    if fields:
        data = json.dumps({"id": "c", "model": model, "choices": [], **fields})
        events.append(b"data: " + data.encode() + b"\n\n")
    return head(SSE) + b"".join(events) + DONE


def refused(status: int, message: str = "no", **error: Any) -> bytes:
    body = json.dumps({"error": {"message": message, "type": "x", "param": None, **error}}).encode()
    return f"HTTP/1.1 {status} X\r\nconnection: close\r\n\r\n".encode() + body


def never(body: Body) -> bool:
    return False


@contextlib.asynccontextmanager
async def scripted_side(
    answer: Callable[[Body], bytes | tuple[bytes, ...]],
    *,
    ends: Callable[[Body], bool] = lambda _: True,
) -> AsyncIterator[Side]:
    """`ends`: whether an answer does; one that does not goes on until the caller leaves. Parts of
    one come one by one."""
    side = Side()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        start = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        if start.startswith("get"):
            return writer.write(HEALTHY)
        length = start.partition("content-length:")[2].split()[0]
        body = json.loads(await reader.readexactly(int(length)))
        side.asked.append(body)
        fields = (line.partition(":") for line in start.splitlines()[1:])
        side.heads.append({name: value.strip() for name, _, value in fields if name})
        said = answer(body)
        for part in said if isinstance(said, tuple) else (said,):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(PAUSE if isinstance(said, tuple) else 0)
        if not ends(body):
            side.reached.set()
            await reader.read()
            side.left = time.perf_counter()
            side.gone.set()

    async with listening(connection) as address:
        side.url = f"http://{address}"
        yield side
