"""The response to one caller, whoever answers in the end."""

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Final

from starlette.types import Send

from predictors.contract.openai.errors import error_body
from predictors.errors import HEMError
from transformers_hem.gateway.events import event_of

DONE: Final = b"data: [DONE]\n\n"
COMMENT: Final = b": waiting\n\n"
STREAM_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


class Outlet:
    """Status and headers wait for the first byte of an answer; those of a stream at most `patience`
    seconds, then comments tell the caller that there is more to come. As long as it has not
    `begun` an error has a status of its own; later it is an event, and there is no [DONE].

    `said`: the caller has a part of an answer. `headers` tell who gives it. Who gives it claims the
    outlet first; then no other one can.
    """

    def __init__(self, send: Send, *, streams: bool, patience: float) -> None:
        self._send = send
        self._streams = streams
        self._patience = patience
        self.begun = False
        self._said_at: float | None = None
        self.headers: Callable[[], Mapping[str, str]] = dict
        self.on_claim: Callable[[], None] | None = None
        self._owner: object | None = None

    @property
    def said(self) -> bool:
        return self._said_at is not None

    @property
    def said_at(self) -> float | None:
        """When it said something first, as a `time.perf_counter()`."""
        return self._said_at

    @property
    def claimed(self) -> bool:
        return self._owner is not None

    def claim(self, owner: object) -> None:
        """Raises CancelledError where another one has it."""
        if self._owner is None:
            self._owner = owner
            if self.on_claim is not None:
                self.on_claim()
        elif self._owner is not owner:
            raise asyncio.CancelledError

    def release(self) -> None:
        """Its owner says no more."""
        self._owner = None

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Within it, comments are sent."""
        task = asyncio.create_task(self._wait()) if self._streams else None
        try:
            yield
        finally:
            if task is not None:
                task.cancel()

    async def more(self, events: bytes) -> None:
        """Of a stream."""
        if events:
            self._says()
            await self._pass(events)

    async def whole(self, content: bytes) -> None:
        self._says()
        about = {"content-type": "application/json", "content-length": str(len(content))}
        await self._begin(about)
        await self._send({"type": "http.response.body", "body": content})

    async def end(self, events: bytes) -> None:
        """With the last ones."""
        self._says()
        await self._pass(events + DONE)
        await self._send({"type": "http.response.body", "body": b""})

    async def fail(self, error: HEMError) -> None:
        """Where it has begun."""
        await self._pass(event_of(error_body(error)))
        await self._send({"type": "http.response.body", "body": b""})

    def _says(self) -> None:
        if self._said_at is None:
            self._said_at = time.perf_counter()

    async def _wait(self) -> None:
        while True:
            await asyncio.sleep(self._patience)
            await self._pass(COMMENT)

    async def _pass(self, data: bytes) -> None:
        if not self.begun:
            await self._begin(STREAM_HEADERS)
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _begin(self, about: Mapping[str, str]) -> None:
        self.begun = True
        raw = [
            (name.encode(), value.encode("latin-1", "replace"))
            for name, value in {**self.headers(), **about}.items()
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})
