"""One chat as a caller of a proxy sees it, read by nothing that is judged here."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx
from httpx_sse import EventSource

PATH: Final = "/v1/chat/completions"
QUESTION: Final = [{"role": "user", "content": "Count to twenty-four."}]
EVENTS: Final = "text/event-stream"


@dataclass
class Seen:
    """`began` is perf_counter's, `first` (of the text) and `seconds` (to the end) count from then.
    `error` is what a body, or an event, says is wrong. `broken`: how it ended without an end."""

    began: float
    streamed: bool
    status: int = 0
    text: str = ""
    finish: str | None = None
    done: bool = False
    error: Any = None
    models: list[str] = field(default_factory=list)
    usages: list[Mapping[str, Any]] = field(default_factory=list)
    first: float | None = None
    seconds: float = 0.0
    broken: str = ""

    def take(self, body: Mapping[str, Any]) -> None:
        """A whole answer, an error, or one event."""
        self.error = body.get("error") or self.error
        if (model := body.get("model")) and model not in self.models:
            self.models.append(model)
        if usage := body.get("usage"):
            self.usages.append(usage)
        for choice in body.get("choices") or ():
            said = choice.get("delta") or choice.get("message") or {}
            if text := said.get("content"):
                self.text += text
                self.first = self.first or time.perf_counter() - self.began
            self.finish = choice.get("finish_reason") or self.finish


async def ask(
    client: httpx.AsyncClient,
    url: str,
    body: Mapping[str, Any],
    headers: Mapping[str, str],
    patience: float,
) -> Seen:
    """The caller gives up after so many seconds of `patience`."""
    seen = Seen(time.perf_counter(), bool(body.get("stream")))
    sent = {"messages": QUESTION, "temperature": 0, **body}
    try:
        async with (
            asyncio.timeout(patience),
            client.stream("POST", url + PATH, json=sent, headers=headers) as answer,
        ):
            seen.status = answer.status_code
            await _read(answer, seen)
    except TimeoutError:
        seen.broken = f"nothing more within {patience:g} s"
    except httpx.HTTPError as error:
        seen.broken = f"the connection ended: {error or type(error).__name__}"
    except ValueError as error:
        seen.broken = f"it is not JSON: {error}"
    seen.seconds = time.perf_counter() - seen.began
    return seen


async def _read(answer: httpx.Response, seen: Seen) -> None:
    if EVENTS not in answer.headers.get("content-type", ""):
        return seen.take(json.loads(await answer.aread()))
    async for event in EventSource(answer).aiter_sse():
        if event.data == "[DONE]":
            seen.done = True
        elif event.data:
            seen.take(json.loads(event.data))
