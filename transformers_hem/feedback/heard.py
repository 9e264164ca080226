"""What a caller got of an answer, as text: of the bytes that went out, whole or as events."""

from typing import Any, Final

import orjson
from starlette.types import Message, Send

from predictors.upstream.openai.answer import whole_answer
from transformers_hem.algorithms.base import Route
from transformers_hem.gateway.chat import Chat
from transformers_hem.gateway.finished import Finished
from transformers_hem.gateway.first_answer import APIS

_DATA: Final = b"data:"
_MOST_BYTES: Final = 1 << 20
_NOT_COMPARED: Final = ("tools", "functions", "response_format", "continue_final_message")


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
        if content.lstrip().startswith(b"{"):
            answer = whole_answer(orjson.loads(content), self._api).answer
            return answer.text if answer is not None else ""
        return "".join(_said(event) for event in _events(content))


def may_be_compared(chat: Chat) -> bool:
    """One query, one answer of text, nothing private, and nobody chose a side."""
    if chat.private or chat.prefer is not None or len(chat.texts) != 1:
        return False
    if (chat.body.get("n") or 1) != 1:
        return False
    return not any(chat.body.get(name) for name in _NOT_COMPARED)


def served_as_decided(chat: Chat, finished: Finished) -> Route | None:
    """The side whose whole answer the caller got, as was decided; else None."""
    decision = chat.decision
    if decision is None or finished.by != decision.route:
        return None
    if finished.status != 200 or finished.degraded or chat.account.in_parts:
        return None
    return decision.route


def draft_of(chat: Chat) -> str | None:
    """The edge's answer that has decided; None where none did."""
    return None if chat.draft is None else chat.draft.answer.answers[0].text


def _events(content: bytes) -> list[Any]:
    lines = (line[len(_DATA) :].strip() for line in content.splitlines() if line.startswith(_DATA))
    return [orjson.loads(line) for line in lines if line.startswith(b"{")]


def _said(event: Any) -> str:
    for choice in event.get("choices") or ():
        delta = choice.get("delta")
        text = choice.get("text") if delta is None else delta.get("content")
        return text or ""
    return ""
