"""What a caller got of an answer, as text: of the bytes that went out, whole or as events."""

from typing import Any, Final

import orjson
from starlette.types import Message, Send

from predictors.upstream.openai.answer import whole_answer
from transformers_hem.gateway.first_answer import APIS

_DATA: Final = b"data:"
_MOST_BYTES: Final = 1 << 20


class Heard:
    """Of a chat or a completion, by its `path`."""

    def __init__(self, path: str) -> None:
        self._api = APIS[path]
        self._parts: list[bytes] = []
        self._size = 0

    def beside(self, send: Send) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.body":
                body = message.get("body", b"")
                self._size += len(body)
                if self._size <= _MOST_BYTES:
                    self._parts.append(body)
            await send(message)

        return sent

    def text(self) -> str:
        """Raises ValueError where it was no whole answer of text."""
        if self._size > _MOST_BYTES:
            raise ValueError("the answer is too long to be compared")
        content = b"".join(self._parts)
        self._parts.clear()
        if content.lstrip().startswith(b"{"):
            answer = whole_answer(orjson.loads(content), self._api).answer
            return answer.text if answer is not None else ""
        return "".join(_said(event) for event in _events(content))


def _events(content: bytes) -> list[Any]:
    lines = (line[len(_DATA) :].strip() for line in content.splitlines() if line.startswith(_DATA))
    return [orjson.loads(line) for line in lines if line.startswith(b"{")]


def _said(event: Any) -> str:
    for choice in event.get("choices") or ():
        delta = choice.get("delta")
        text = choice.get("text") if delta is None else delta.get("content")
        return text or ""
    return ""
