"""One answer, whole or streamed, passed on as it comes, with the decision in headers and body."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.types import Send

from predictors.contract import Delta, Query
from predictors.contract.openai.errors import error_body
from predictors.contract.openai.responses import ChatWriter, CompletionWriter
from predictors.errors import HEMError
from predictors.upstream.client import Response as Answer
from predictors.upstream.json_body import parse_json
from predictors.upstream.openai.answer import streamed_answer, whole_answer
from predictors.upstream.openai.bodies import COMPLETIONS
from predictors.upstream.openai.choice import raise_error
from transformers_hem.gateway.events import Events, event_of, is_done, payload
from transformers_hem.gateway.first_answer import APIS, as_events
from transformers_hem.gateway.site import Target
from transformers_hem.serving.decision import Decision

logger = logging.getLogger("kserve.hem")

HEM: Final = "hem"  # the field of the last chunk, and of a whole answer
DONE: Final = b"data: [DONE]\n\n"
COMMENT: Final = b": waiting\n\n"
STREAM_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


@dataclass(slots=True)
class Served:
    """Who answers, and why. `model` is the one that was asked, until the answer names another;
    `degraded` is why the cloud failed for which the edge stands in."""

    decision: Decision
    model: str
    degraded: str = ""

    def headers(self) -> dict[str, str]:
        score = self.decision.score
        return {
            "x-hem-route": self.decision.route,
            "x-hem-reason": self.decision.reason,
            "x-hem-served-by": self.model,
            **({} if score is None else {"x-hem-score": f"{score:.4f}"}),
            **({"x-hem-degraded": self.degraded} if self.degraded else {}),
        }

    def as_json(self) -> dict[str, Any]:
        return {
            "route": self.decision.route,
            "score": self.decision.score,
            "threshold": self.decision.threshold,
            "algorithm": self.decision.algorithm,
            "reason": self.decision.reason,
            "served_by": self.model,
            **({"degraded": self.degraded} if self.degraded else {}),
        }


class Relay:
    """Asks `target`, and sends what it answers.

    The task that serves the client is the one that reads the answer: nothing waits in between, and
    a client that leaves ends it all. The status and the headers wait for the first byte of the
    answer, at most `patience` seconds; then comments tell the client that there is more to come.
    Until then an error has a status of its own; later it is an event, and there is no [DONE].
    """

    def __init__(
        self,
        target: Target,
        path: str,
        body: Mapping[str, Any],
        served: Served,
        send: Send,
        patience: float,
    ) -> None:
        self._send = send
        self._target = target
        self._path = path
        self._asked = body
        self._served = served
        self._patience = patience
        self._begun = False
        self._says = False
        self._choices: dict[int, bool] = {}  # those that have begun, and whether they have ended
        self._ready: list[bytes] = []

    async def run(self) -> None:
        """Raises HEMError as long as nothing was sent."""
        waiting = asyncio.create_task(self._wait()) if self._asked.get("stream") else None
        try:
            await self._target.http.stream(
                self._path,
                self._asked,
                self._read,
                streams=bool(self._asked.get("stream")),
                given=lambda: self._begun,
            )
        except HEMError as error:
            if not self._begun:
                raise
            await self._send_ready()
            await self._fail(error)
        finally:
            if waiting is not None:
                waiting.cancel()

    async def give(self, body: dict[str, Any], events: Iterable[dict[str, Any]]) -> None:
        """An answer that is there already: whole, or as events where a stream was asked for."""
        self._served.model = str(body.get("model") or self._served.model)
        if not self._asked.get("stream"):
            return await self._send_whole(body)
        for event in events:
            self._take(event_of(event))
        await self._finish()

    async def _read(self, answer: Answer, began: float) -> None:
        """Servers may stream though nobody asked, and the other way round."""
        events = answer.headers.get("content-type", "").startswith("text/event-stream")
        if events and self._asked.get("stream"):
            await self._pass_on(answer)
        elif events:
            last = await streamed_answer(answer, APIS[self._path], began)
            await self.give(_whole(last, self._path, self._asked), ())
        else:
            body = parse_json(await answer.aread())
            whole_answer(body, APIS[self._path])  # raises where it is none
            await self.give(body, as_events(body, self._asked))

    async def _send_whole(self, body: dict[str, Any]) -> None:
        body[HEM] = self._served.as_json()
        content = orjson.dumps(body)
        headers = {**self._served.headers(), "content-type": "application/json"}
        await self._begin({**headers, "content-length": str(len(content))})
        await self._send({"type": "http.response.body", "body": content})

    async def _pass_on(self, answer: Answer) -> None:
        events = Events()
        async for chunk in answer.aiter_bytes():
            for event in events.cut(chunk):
                if is_done(event):
                    return await self._finish()
                self._take(event)
            await self._send_ready()
        if rest := events.rest():  # its last event lacks the empty line
            if is_done(rest):
                return await self._finish()
            self._take(rest + b"\n\n")
        if not self._choices or not all(self._choices.values()):
            await self._send_ready()
            raise ValueError("a stream that broke off")
        await self._finish()

    def _take(self, event: bytes) -> None:
        """Keeps it to be sent. Raises ValueError for an error and for what is no event of an
        answer, Declined."""
        data = payload(event)
        if data is None:
            if event.startswith(b"data"):
                raise ValueError(f"an event that is not JSON: {event[:80]!r}")
            if self._begun:
                self._ready.append(event)  # a comment: the server is at work
            return
        raise_error(data)
        if model := data.get("model"):
            self._served.model = str(model)
        choices = [c for c in data.get("choices") or () if isinstance(c, dict)]
        ended = {c.get("index", 0): bool(c.get("finish_reason")) for c in choices}
        self._choices |= {i: end or self._choices.get(i, False) for i, end in ended.items()}
        ends = any(ended.values())
        self._says = self._says or ends or any(map(_says_something, choices))
        if ends or data.get("usage"):
            event = event_of({**data, HEM: self._served.as_json()})
        self._ready.append(event)

    async def _send_ready(self) -> None:
        """What is there, once the answer says something: a server may fail behind a first event
        that only names a role."""
        if self._says and self._ready:
            ready, self._ready = b"".join(self._ready), []
            await self._more(ready)

    async def _finish(self) -> None:
        self._says = True
        self._ready.append(DONE)
        await self._send_ready()
        await self._end()

    async def _wait(self) -> None:
        while True:
            await asyncio.sleep(self._patience)
            await self._more(COMMENT)

    async def _more(self, data: bytes) -> None:
        if not data:
            return
        if not self._begun:
            await self._begin({**self._served.headers(), **STREAM_HEADERS})
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def _begin(self, headers: Mapping[str, str]) -> None:
        self._begun = True
        raw = [
            (name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()
        ]
        await self._send({"type": "http.response.start", "status": 200, "headers": raw})

    async def _end(self) -> None:
        await self._send({"type": "http.response.body", "body": b""})

    async def _fail(self, error: HEMError) -> None:
        logger.warning("a stream broke off: %s", error)
        await self._more(event_of(error_body(error)))
        await self._end()


def _says_something(choice: Mapping[str, Any]) -> bool:
    """Whether there is more in it than a role."""
    delta = choice.get("delta") or {}
    fields = [value for name, value in delta.items() if name != "role"]
    return bool(choice.get("text")) or any(fields)


def _whole(last: Delta, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A stream's answer as one object."""
    writer = CompletionWriter if path == COMPLETIONS.path else ChatWriter
    query = Query("", top_logprobs=20 if asked.get("logprobs") else None)
    body: dict[str, Any] = orjson.loads(writer("", [query]).whole([[last]]))
    return body
