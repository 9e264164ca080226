"""One attempt at an answer, whole or streamed, passed on as it comes, with the decision in headers
and body."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from predictors.contract import CLOUD, Delta, Query
from predictors.contract.openai.responses import ChatWriter, CompletionWriter
from predictors.errors import HEMError
from predictors.upstream.attempt import said_all
from predictors.upstream.client import Response as Answer
from predictors.upstream.json_body import parse_json
from predictors.upstream.ledger.decision import decided
from predictors.upstream.openai.answer import streamed_answer, whole_answer
from predictors.upstream.openai.bodies import COMPLETIONS
from predictors.upstream.openai.events import Events
from predictors.upstream.openai.refusals import UnsupportedFields
from predictors.upstream.redaction import logged
from transformers_hem.gateway.events import event_of, is_done
from transformers_hem.gateway.first_answer import APIS, as_events
from transformers_hem.gateway.hold import Hold
from transformers_hem.gateway.outlet import Outlet
from transformers_hem.gateway.pace import Pace
from transformers_hem.gateway.passing import Passing, Rewrite, chained
from transformers_hem.gateway.restoring import Restorer
from transformers_hem.gateway.said import Said
from transformers_hem.gateway.served import HEM, Served
from transformers_hem.gateway.site import Target
from transformers_hem.guards.placeholders import Placeholders

logger = logging.getLogger("kserve.hem")

STREAM_OPTIONS: Final = "stream_options"


class Relay:
    """Asks `target`, and sends what it answers.

    The task that serves the client is the one that reads the answer: nothing waits in between, and
    a client that leaves ends it all. `said` is told what the caller gets of a stream, `rewrite`
    changes its events. `hold` keeps it back, and may end it; where the caller has a part of it by
    then, `hand_over` tells whether the other side has taken over. What `placeholders` of `body`
    stand for is put back in the answer, before anybody else sees it.
    """

    def __init__(
        self,
        target: Target,
        path: str,
        body: Mapping[str, Any],
        served: Served,
        outlet: Outlet,
        pace: Pace,
        *,
        said: Said | None = None,
        rewrite: Rewrite | None = None,
        hold: Hold | None = None,
        placeholders: Placeholders | None = None,
    ) -> None:
        self.served = served
        self.said = said
        self._outlet = outlet
        self._target = target
        self._path = path
        self._asked = body
        self._pace = pace
        self._rewrite = hold.rewrite if hold is not None else rewrite
        self._hold = hold
        self._placeholders = placeholders
        self._restorer: Restorer | None = None  # of an attempt
        self._streams = bool(body.get("stream"))
        options = body.get(STREAM_OPTIONS) or {}
        self._shows_usage = bool(options.get("include_usage"))
        self._passing = self._new()
        self.given = False  # the caller has a part of it
        self.hand_over: Callable[[], Awaitable[bool]] | None = None

    async def run(self) -> None:
        """Raises HEMError; `given` tells whether anything was sent by then."""
        attempt = self.served.attempt
        with attempt.under_way(), attempt.traced(self._path, streams=self._streams):
            self._outlet.headers = self.served.headers
            try:
                await self._ask()
            except HEMError:
                if self._passing.ended:  # the usage may lack, but nothing of the answer
                    return await self._finish()
                if self.given and self._until is None:
                    await self._outlet.more(self._passing.rest())
                raise

    async def _ask(self) -> None:
        """For the usage of a stream, too, though the caller did not ask for it, unless the server
        has refused to tell it."""
        while True:
            counts = self._streams and not self._shows_usage and self._target.counts
            try:
                with decided(self.served.decision()):
                    return await self._target.http.stream(
                        self._path,
                        _with_usage(self._asked) if counts else self._asked,
                        self._read,
                        streams=self._streams,
                        given=lambda: self.given,
                        around=self._pace.over,
                    )
            except UnsupportedFields as error:
                if not counts or STREAM_OPTIONS not in error.names:
                    raise
                logger.warning(
                    "the %s tells no usage of streams: %s", self._target.route, logged(error)
                )
                self._target.counts = False

    async def give(self, body: dict[str, Any], events: Iterable[dict[str, Any]]) -> None:
        """An answer that is there already: whole, or as events where a stream was asked for."""
        self._outlet.headers = self.served.headers
        self.served.attempt.read(body)
        if not self._streams:
            return await self._send_whole(body)
        for event in events:
            self._passing.take(event_of(event))
        await self._finish()

    async def _read(self, answer: Answer, began: float) -> None:
        """Servers may stream though nobody asked, and the other way round."""
        if self.said is not None:
            self.said.begin()
        if self._hold is not None:
            self._hold.begin()
        self._passing = self._new()
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

    def _new(self) -> Passing:
        rewrite = self._rewrite
        if self._placeholders is not None:
            self._restorer = Restorer(self._placeholders, self._asked)
            rewrite = chained(self._restorer.rewrite, rewrite)
        return Passing(self.served, shows_usage=self._shows_usage, said=self.said, rewrite=rewrite)

    async def _send_whole(self, body: dict[str, Any]) -> None:
        self._pace.token()
        self._claim()
        if self._restorer is not None:
            self._restorer.whole(body)
        body[HEM] = self.served.as_json()
        await self._outlet.whole(orjson.dumps(body))
        self.served.attempt.outcome = "answered"

    async def _pass_on(self, answer: Answer) -> None:
        events, passing = Events(), self._passing
        parts = 0
        async for chunk in answer.aiter_raw():  # unpacked already
            for event in events.cut(chunk):
                if is_done(event):
                    passing.require_answer()
                    said_all(answer)
                    return await self._finish()
                passing.take(event)
            if passing.parts != parts:
                parts = passing.parts
                self._pace.token()
            if not await self._stays(ended=False):
                return  # which ends it
            if self._hold is not None and not self._hold.commits:
                continue
            if due := passing.due(self._until):
                self._claim()
                await self._outlet.more(passing.written(due))
        if rest := events.rest():  # its last event lacks the empty line
            if is_done(rest):
                passing.require_answer()
                return await self._finish()
            passing.take(rest + b"\n\n")
        if not passing.ended:
            raise ValueError("a stream that broke off")
        await self._finish()

    async def _finish(self) -> None:
        if not await self._stays(ended=True):
            return
        if self._restorer is not None and (waits := self._restorer.rest()):
            self._passing.take(event_of(waits))
        self._claim()
        await self._outlet.end(self._passing.rest())
        self.served.attempt.outcome = "answered"

    @property
    def _until(self) -> int | None:
        return None if self._hold is None else self._hold.until

    async def _stays(self, *, ended: bool) -> bool:
        """False where it is decided that the other side answers, or goes on."""
        hold = self._hold
        if hold is None:
            return True
        await hold.look(ended=ended)
        if hold.route != CLOUD:
            return True
        if not self.given or hold.failure is not None:
            return False
        assert self.hand_over is not None
        with self._pace.paused():
            if await self.hand_over():
                return False
        hold.stay()
        return True

    def _claim(self) -> None:
        if not self.given:
            self._outlet.headers = self.served.headers
        self._outlet.claim(self)
        self.served.attempt.spoke()
        self.given = True


def _with_usage(body: Mapping[str, Any]) -> dict[str, Any]:
    options = body.get(STREAM_OPTIONS) or {}
    return {**body, STREAM_OPTIONS: {**options, "include_usage": True}}


def _whole(last: Delta, path: str, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A stream's answer as one object."""
    writer = CompletionWriter if path == COMPLETIONS.path else ChatWriter
    query = Query("", top_logprobs=20 if asked.get("logprobs") else None)
    body: dict[str, Any] = orjson.loads(writer("", [query]).whole([[last]]))
    return body
