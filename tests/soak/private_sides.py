"""An edge and a cloud on loopback that answer by script, and fail in every way that makes us ask
again, ask another one or go on behind what was said."""

import asyncio
import contextlib
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

Body = dict[str, Any]
# In a hundred answers; the others are good.
CLOUD_MOODS: Final[Mapping[str, int]] = {
    **{"throttles": 6, "fails": 4, "cannot": 1, "drops": 2, "breaks": 3, "slow": 3}
}
EDGE_MOODS: Final[Mapping[str, int]] = {"fails": 4, "cannot": 2, "drops": 1, "breaks": 4, "slow": 3}
SLOW_SECONDS: Final = 0.25
_REASONS: Final = {"throttles": 429, "fails": 500, "cannot": 400}
_SURE, _UNSURE = -0.01, -6.0
_UNSURE_SENTENCES: Final = 0.2


@dataclass
class Side:
    """`name` is its model. It repeats what it was asked, in its errors, too."""

    name: str
    moods: Mapping[str, int]
    url: str = ""
    port: int = 0
    answered: Counter[str] = field(default_factory=Counter)
    draw: random.Random = field(default_factory=lambda: random.Random(17))
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)

    def mood(self) -> str:
        rest = 100 - sum(self.moods.values())
        mood = self.draw.choices([*self.moods, "good"], [*self.moods.values(), rest])[0]
        self.answered[mood] += 1
        return mood

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            with contextlib.suppress(*_ENDS):
                while await self._answer(reader, writer):
                    pass
        finally:
            self.tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1]
        length = head.lower().partition("content-length: ")[2].split("\r\n")[0]
        content = await reader.readexactly(int(length or 0))
        if not content:
            models = {"object": "list", "data": [{"id": self.name}], "ready": True}
            return _send(writer, 200, models)
        body = json.loads(content)
        mood = self.mood()
        if mood == "slow":
            await asyncio.sleep(SLOW_SECONDS)
        if mood == "drops":
            return False
        asked = _asked(body)
        if status := _REASONS.get(mood):
            code = "context_length_exceeded" if mood == "cannot" else None
            error = {"message": f"not this: {asked}", "code": code}
            return _send(writer, status, {"error": error}, "retry-after: 0.01\r\n")
        if path.startswith("/v2"):
            return _send(writer, 200, self._v2(body))
        if not body.get("stream"):
            return _send(writer, 200, self._whole(body, asked))
        return await self._stream(writer, body, asked, breaks=mood == "breaks")

    def _v2(self, body: Body) -> Body:
        texts = body["inputs"][0]["data"]
        signal = self.draw.choice((_SURE, _UNSURE))
        outputs = [_output("text_output", "BYTES", texts)]
        outputs += [_output(n, "FP32", [signal] * len(texts)) for n in SIGNALS]
        parameters = {**body.get("parameters", {}), "served_by": self.name}
        return {"model_name": self.name, "parameters": parameters, "outputs": outputs}

    def _whole(self, body: Body, asked: str) -> Body:
        choice: Body = {"index": 0, "finish_reason": "stop"}
        choice["message"] = {"role": "assistant", "content": asked}
        if body.get("logprobs"):
            choice["logprobs"] = {"content": [self._token(p) for p in _pieces(asked)]}
        return {"id": "a", "model": self.name, "choices": [choice], "usage": USAGE}

    def _token(self, text: str) -> Body:
        unsure = text.endswith(". ") and self.draw.random() < _UNSURE_SENTENCES
        logprob = 5 * _UNSURE if unsure else _SURE
        other = {"token": "?", "logprob": -9.0}
        top = [{"token": text, "logprob": logprob}, other]
        return {"token": text, "logprob": logprob, "bytes": None, "top_logprobs": top}

    async def _stream(
        self, writer: asyncio.StreamWriter, body: Body, asked: str, *, breaks: bool
    ) -> bool:
        writer.write(_SSE)
        pieces = list(_pieces(asked))
        for number, text in enumerate(pieces):
            if breaks and number > len(pieces) // 2:
                return False
            choice: Body = {"index": 0, "delta": {"content": text}, "finish_reason": None}
            if body.get("logprobs"):
                choice["logprobs"] = {"content": [self._token(text)]}
            writer.write(_event(self.name, choices=[choice]))
            if number % 5 == 0:
                await writer.drain()
                await asyncio.sleep(0)
        ended = {"index": 0, "delta": {}, "finish_reason": "stop"}
        writer.write(
            _event(self.name, choices=[ended]) + _event(self.name, choices=[], usage=USAGE)
        )
        writer.write(b"data: [DONE]\n\n")
        await writer.drain()
        return False


_ENDS: Final = (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError)
SIGNALS: Final = ("mean_logprob", "min_logprob")
USAGE: Final = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
_SSE: Final = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


def _asked(body: Body) -> str:
    if "inputs" in body:
        return str(body["inputs"][0]["data"][0])
    content = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
    return content if isinstance(content, str) else "".join(p["text"] for p in content)


def _pieces(text: str) -> Iterator[str]:
    """A few characters each; the end of a sentence is the end of one."""
    for sentence in text.split(". "):
        whole = f"{sentence}. "
        cut = [whole[i : i + 3] for i in range(0, len(whole) - 3, 3)]
        yield from cut
        yield whole[3 * len(cut) :]


def _output(name: str, datatype: str, data: list[Any]) -> Body:
    return {"name": name, "datatype": datatype, "shape": [len(data)], "data": data}


def _event(model: str, **fields: Any) -> bytes:
    return b"data: " + json.dumps({"id": "a", "model": model, **fields}).encode() + b"\n\n"


def _send(writer: asyncio.StreamWriter, status: int, body: Any, headers: str = "") -> bool:
    content = json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}"
    writer.write(f"{head}content-length: {len(content)}\r\n\r\n".encode() + content)
    return True


@contextlib.asynccontextmanager
async def side(name: str, moods: Mapping[str, int]) -> AsyncIterator[Side]:
    made = Side(name, moods)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    made.url = f"http://127.0.0.1:{made.port}"
    try:
        yield made
    finally:
        server.close()
        for task in made.tasks:
            task.cancel()
        await asyncio.gather(*made.tasks, return_exceptions=True)
