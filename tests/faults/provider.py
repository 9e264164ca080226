"""A provider of OpenAI's API on a real socket, which does with each call what a script says, and
keeps what it was asked. A GET, of its models or its health, is answered at once: whatever else
fails, nobody learns it there."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from tests.listening import listening
from tests.soak.wire import message, read_message
from tests.transformers_hem.gateway.scripted_side import DONE, SSE, usage, whole

Body: TypeAlias = dict[str, Any]

PACE_SECONDS: Final = 0.005  # between two events
STREAM: Final = (
    f"HTTP/1.1 200 OK\r\ncontent-type: {SSE}\r\ntransfer-encoding: chunked\r\n"
    "connection: close\r\n\r\n"
).encode()
END: Final = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked, and when all of it was here (perf_counter)."""

    at: float
    body: Body

    @property
    def prefix(self) -> str:
        """Of the answer, which the caller has already and wants to be continued."""
        last = self.body["messages"][-1]
        return str(last["content"]) if last["role"] == "assistant" else ""


@dataclass
class Provider:
    """`model` answers with `text`, unless the `script` says otherwise; `tokens` are those of the
    prompt and of the answer. `url` ends with /v1."""

    model: str
    text: str
    tokens: tuple[int, int]
    script: "Script"
    url: str = ""
    calls: list[Call] = field(default_factory=list)

    def begin(self, script: "Script", text: str) -> None:
        self.script, self.text, self.calls = script, text, []

    @property
    def usage(self) -> Body:
        return usage(*self.tokens)


@dataclass
class Exchange:
    """One call, for the script that answers it. `number`: how many there were before it."""

    provider: Provider
    call: Call
    number: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _opened: bool = False

    @property
    def streams(self) -> bool:
        return bool(self.call.body.get("stream"))

    @property
    def words(self) -> Sequence[str]:
        """Of the text, with the blanks behind them: what follows the prefix of the call."""
        text = self.provider.text.removeprefix(self.call.prefix)
        *words, last = text.split(" ")
        return [*(f"{word} " for word in words), last]

    async def answer(self) -> None:
        if not self.streams:
            model, text = self.provider.model, "".join(self.words)
            return await self.send(whole(model, text, usage=self.provider.usage))
        await self.open()
        await self.say(self.words)
        await self.done()

    async def refuse(
        self, status: int, error: Mapping[str, Any], retry_after: str = "", **fields: Any
    ) -> None:
        """`fields` stand beside the error."""
        shape = {"message": "no", "type": None, "param": None, "code": None}
        body = json.dumps({"error": {**shape, **error}, **fields}).encode()
        headers = {"retry_after": retry_after} if retry_after else {}
        answer = message(status, body, connection="close", **headers)
        await self.send(answer.head + answer.body)

    async def open(self, **fields: Any) -> None:
        """A stream, up to its first event, which names a role and says nothing."""
        if not self._opened:
            self._opened = True
            await self.send(STREAM)
            await self.event({"role": "assistant", "content": ""}, **fields)

    async def say(self, words: Sequence[str]) -> None:
        for word in words:
            await asyncio.sleep(PACE_SECONDS)
            await self.event({"content": word})

    async def finish(self) -> None:
        """All that comes behind the text, but for [DONE]."""
        await self.event({}, "stop")
        if (self.call.body.get("stream_options") or {}).get("include_usage"):
            await self.object(choices=[], usage=self.provider.usage)

    async def done(self) -> None:
        await self.finish()
        await self.send(chunk(DONE) + END)

    async def event(self, delta: Body, finish: str | None = None, **fields: Any) -> None:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        await self.object(choices=[choice], **fields)

    async def object(self, **fields: Any) -> None:
        """An event with what all of OpenAI's have."""
        about = {"id": "c", "object": "chat.completion.chunk", "created": 1}
        body = {**about, "model": self.provider.model, **fields}
        await self.send(chunk(b"data: " + json.dumps(body).encode() + b"\n\n"))

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def left(self) -> None:
        """Until the caller has closed the connection."""
        await self.reader.read()


Script: TypeAlias = Callable[[Exchange], Awaitable[None]]


def chunk(data: bytes) -> bytes:
    """Of a body in HTTP's chunked coding."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@contextlib.asynccontextmanager
async def serving(provider: Provider) -> AsyncIterator[Provider]:
    """It gets its `url`."""
    async with listening(lambda *streams: _answer(provider, *streams)) as address:
        provider.url = f"http://{address}/v1"
        yield provider


async def _answer(
    provider: Provider, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    asked = await read_message(reader)
    if asked.head.startswith(b"GET"):
        listed = {"object": "list", "data": [{"id": provider.model, "object": "model"}]}
        answer = message(200, json.dumps(listed).encode(), connection="close")
        return writer.write(answer.head + answer.body)
    call = Call(time.perf_counter(), json.loads(asked.body))
    provider.calls.append(call)
    exchange = Exchange(provider, call, len(provider.calls) - 1, reader, writer)
    await provider.script(exchange)
