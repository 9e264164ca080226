"""One answer, whole or streamed, passed on as it comes, with the decision in headers and body."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
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
from predictors.upstream.openai.refusals import UnsupportedFields
from transformers_hem.gateway.events import Events, event_of, is_done
from transformers_hem.gateway.first_answer import APIS, as_events
from transformers_hem.gateway.passing import Passing
from transformers_hem.gateway.served import HEM, Served
from transformers_hem.gateway.site import Target

logger = logging.getLogger("kserve.hem")

DONE: Final = b"data: [DONE]\n\n"
COMMENT: Final = b": waiting\n\n"
STREAM_OPTIONS: Final = "stream_options"
STREAM_HEADERS: Final = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
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
        self._streams = bool(body.get("stream"))
        self._begun = False
        options = body.get(STREAM_OPTIONS) or {}
        self._shows_usage = bool(options.get("include_usage"))
        self._passing = Passing(served, shows_usage=self._shows_usage)

    async def run(self) -> None:
        """Raises HEMError as long as nothing was sent."""
        waiting = asyncio.create_task(self._wait()) if self._streams else None
        try:
            with self._served.attempt.under_way():
                await self._ask()
        except HEMError as error:
            if not self._begun:
                raise
            await self._more(self._passing.rest())
            await self._fail(error)
        finally:
            if waiting is not None:
                waiting.cancel()

    async def _ask(self) -> None:
        """For the usage of a stream, too, though the caller did not ask for it, unless the server
        has refused to tell it."""
        while True:
            counts = self._streams and not self._shows_usage and self._target.counts
            try:
                return await self._target.http.stream(
                    self._path,
                    _with_usage(self._asked) if counts else self._asked,
                    self._read,
                    streams=self._streams,
                    given=lambda: self._begun,
                )
            except UnsupportedFields as error:
                if not counts or STREAM_OPTIONS not in error.names:
                    raise
                logger.warning("the %s tells no usage of streams: %s", self._target.route, error)
                self._target.counts = False

    async def give(self, body: dict[str, Any], events: Iterable[dict[str, Any]]) -> None:
        """An answer that is there already: whole, or as events where a stream was asked for."""
        self._served.attempt.read(body)
        if not self._streams:
            return await self._send_whole(body)
        for event in events:
            self._passing.take(event_of(event))
        await self._finish()

    async def _read(self, answer: Answer, began: float) -> None:
        """Servers may stream though nobody asked, and the other way round."""
        events = answer.headers.get("content-type", "").startswith("text/event-stream")
        if events and self._streams:
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
        await self._end(content)

    async def _pass_on(self, answer: Answer) -> None:
        events, passing = Events(), self._passing
        async for chunk in answer.aiter_raw():  # unpacked already
            for event in events.cut(chunk):
                if is_done(event):
                    return await self._finish()
                passing.take(event)
            await self._more(passing.ready())
        if rest := events.rest():  # its last event lacks the empty line
            if is_done(rest):
                return await self._finish()
            passing.take(rest + b"\n\n")
        if not passing.ended:
            await self._more(passing.rest())
            raise ValueError("a stream that broke off")
        await self._finish()

    async def _finish(self) -> None:
        self._passing.says = True
        await self._more(self._passing.rest() + DONE)
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

    async def _end(self, content: bytes = b"") -> None:
        await self._send({"type": "http.response.body", "body": content})
        self._served.attempt.outcome = "answered"

    async def _fail(self, error: HEMError) -> None:
        logger.warning("a stream broke off: %s", error)
        await self._more(event_of(error_body(error)))
        await self._send({"type": "http.response.body", "body": b""})


def _with_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    options = body.get(STREAM_OPTIONS) or {}
    return {**body, STREAM_OPTIONS: {**options, "include_usage": True}}


def _whole(last: Delta, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A stream's answer as one object."""
    writer = CompletionWriter if path == COMPLETIONS.path else ChatWriter
    query = Query("", top_logprobs=20 if asked.get("logprobs") else None)
    body: dict[str, Any] = orjson.loads(writer("", [query]).whole([[last]]))
    return body
