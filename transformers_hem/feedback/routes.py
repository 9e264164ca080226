"""The paths for feedback.

POST   /feedback          keeps what callers say: 200 once it is durable
POST   /feedback/records  keeps what another server has collected, for an admin
GET    /feedback          tells an admin what there is
GET    /feedback/export   gives an admin rows to train on, as JSON Lines
DELETE /feedback          forgets, by request_id, client and before, for an admin
"""

import asyncio
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from operator import attrgetter
from typing import Any, Final, TypeVar

import orjson
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Send

from predictors.errors import HEMError, InvalidRequest, TooManyRequests
from predictors.serving.direct import add_posts
from transformers_hem.feedback import metrics
from transformers_hem.feedback.body import Arrival, read_body
from transformers_hem.feedback.exporting import Asked, exported
from transformers_hem.feedback.faults import AGAIN_SECONDS, Unusable
from transformers_hem.feedback.keeping import Done, Kept, Unit
from transformers_hem.feedback.place import Place
from transformers_hem.feedback.pushed import read_pushed
from transformers_hem.feedback.rate import Rate
from transformers_hem.feedback.room import Forgetting, counted
from transformers_hem.feedback.writer import Writer
from transformers_hem.gateway.callers import ANONYMOUS
from transformers_hem.gateway.keys import Keys
from transformers_hem.serving.clients import client_of

logger = logging.getLogger("kserve.hem")

T = TypeVar("T")

PATH: Final = "/feedback"
RECORDS: Final = f"{PATH}/records"
EXPORT: Final = f"{PATH}/export"
IDEMPOTENCY: Final = "idempotency-key"
SECONDS: Final = 10.0  # until who sends feedback is told that it may not be kept
ADMIN_SECONDS: Final = 25.0  # until an admin is told so; `hem feedback` waits for 30
_MOST_KEY: Final = 128
_KIND: Final = attrgetter("feedback.source", "state")
_AHEAD_SECONDS: Final = 5.0  # a client's clock that is further ahead is told so
_KEEPING: Final = "it is not known whether this is kept; send it again, with the same keys"
_FORGETTING: Final = "it is not known whether all of it is forgotten; send it again later"
_REASONS: Final = {
    **{400: "invalid", 413: "invalid", 401: "denied", 403: "denied"},
    **{409: "conflict", 429: "rate_limited"},
}


class FeedbackRoutes:
    """`keys` gives those of the moment; the others are as in the settings."""

    def __init__(
        self,
        writer: Writer,
        place: Place,
        keys: Callable[[], Keys],
        *,
        origin: str,
        client_header: str,
        keeps_text: bool,
        rate: Rate,
    ) -> None:
        self._rate = rate
        self._writer = writer
        self._place = place
        self._keys = keys
        self._origin = origin
        self._client_header = client_header
        self._keeps_text = keeps_text

    def add_to(self, app: FastAPI) -> None:
        add_posts(app, {PATH: self.post, RECORDS: self.records}, {})
        app.add_api_route(PATH, self.tell, methods=["GET"])
        app.add_api_route(PATH, self.forget, methods=["DELETE"])
        app.add_api_route(EXPORT, self.export, methods=["GET"])

    async def post(self, request: Request) -> Response:
        try:
            caller = self._keys().check(request.headers)
            client = client_of(request.headers, self._client_header, caller.tenant)
            # Who has a token can't have more by naming other clients.
            whose = client if caller.name == ANONYMOUS else caller.name
            self._rate.check(whose)
            arrival = Arrival(
                client,
                self._origin,
                time.time(),
                self._keeps_text,
                _key(request.headers),
                names=caller.admin,
            )
            unit = Unit(feedback=read_body(await request.body(), arrival))
            done = await self._kept(unit)
            self._rate.take(whose, sum(kept.state != "duplicate" for kept in done.kept))
        except HEMError as error:
            return refused(error)
        told = [_told(kept) for kept in done.kept]
        return _answered({"kept": len(told), "feedback": told})

    async def records(self, request: Request) -> Response:
        """Decisions and feedback, as another store has them."""
        try:
            self._keys().check_admin(request.headers)
            unit = read_pushed(await request.body(), keeps_text=self._keeps_text)
            done = await self._kept(unit)
        except HEMError as error:
            return refused(error)
        new = sum(kept.state != "duplicate" for kept in done.kept)
        return _answered({"decisions": done.decisions, "feedback": new})

    async def tell(self, request: Request) -> Response:
        try:
            self._keys().check_admin(request.headers)
            found = await _in_time(self._writer.work(counted), ADMIN_SECONDS, "ask again later")
        except HEMError as error:
            return refused(error)
        return _answered({"store": self._place.shown, "text": self._keeps_text, **found})

    async def export(self, request: Request) -> Response:
        try:
            self._keys().check_admin(request.headers)
            asked = Asked.of(request.query_params)
            lines = exported(self._place, asked)
            first = await asyncio.to_thread(next, lines, b"")  # fails here, and not in the middle
        except HEMError as error:
            return refused(error)
        one_at_a_time = threading.Lock()

        def step() -> bytes:
            with one_at_a_time:
                return next(lines, b"")

        def end() -> None:
            with one_at_a_time:
                lines.close()

        async def content() -> Any:
            try:
                yield first
                while line := await asyncio.to_thread(step):
                    yield line
            finally:  # also where who asked is gone: else a connection waits for the collector
                await asyncio.to_thread(end)

        return Lines(content(), media_type="application/x-ndjson")

    async def forget(self, request: Request) -> Response:
        sums: dict[str, int] = {}
        try:
            self._keys().check_admin(request.headers)
            what = _forgetting(request.query_params, self._client_header)
            while True:
                work = self._writer.work(what.forget)
                counts = await _in_time(work, ADMIN_SECONDS, _FORGETTING)
                sums = {name: sums.get(name, 0) + counts.get(name, 0) for name in counts | sums}
                if not any(counts.values()):
                    return _answered({"deleted": sums})
        except HEMError as error:
            return refused(error)

    async def _kept(self, unit: Unit) -> Done:
        """Raises HEMError."""
        done = await _in_time(self._writer.keep(unit), SECONDS, _KEEPING)
        for (source, state), count in Counter(map(_KIND, done.kept)).items():
            metrics.FEEDBACK.labels(source, state).inc(count)
        unknown = sum(not kept.known and kept.state != "duplicate" for kept in done.kept)
        metrics.UNKNOWN.inc(unknown)
        return done


class Lines(StreamingResponse):
    """Some that come one after the other. Where the store fails in the middle the answer has no
    end, so that nobody takes it for a whole one, and the log has a line."""

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except HEMError as error:
            logger.error("feedback: an export ends too early: %s", error)


async def _in_time(work: Awaitable[T], seconds: float, otherwise: str) -> T:
    """Raises Unusable where the store takes longer, and what `work` raises."""
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise Unusable(f"the store did not answer within {seconds:g} s: {otherwise}") from None


def refused(error: HEMError) -> Response:
    reason = _REASONS.get(error.status, "unusable" if isinstance(error, Unusable) else "overloaded")
    metrics.REFUSED.labels(reason).inc()
    seconds = error.retry_after if isinstance(error, TooManyRequests) else AGAIN_SECONDS
    wait = {"retry-after": str(math.ceil(seconds))} if error.status in (429, 503) else None
    return JSONResponse({"error": str(error)}, error.status, headers=wait)


def _answered(body: Mapping[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


def _told(kept: Kept) -> dict[str, Any]:
    said = kept.feedback
    told = {"request_id": said.request_id, "state": kept.state, "known": kept.known}
    if said.said_at is not None and said.said_at - said.at > _AHEAD_SECONDS:
        told["clock_ahead"] = round(said.said_at - said.at, 3)
    return told


def _key(headers: Mapping[str, str]) -> str:
    key = headers.get(IDEMPOTENCY, "")
    if len(key) > _MOST_KEY:
        raise InvalidRequest(f"{IDEMPOTENCY} has {len(key)} characters; at most {_MOST_KEY}")
    return key


def _forgetting(query: Mapping[str, str], header: str) -> Forgetting:
    """Raises InvalidRequest."""
    known = {"request_id", "client", "user", "before"}
    if others := sorted(query.keys() - known):
        raise InvalidRequest(f"{others[0]!r} is not known; known: {', '.join(sorted(known))}")
    if not query:
        raise InvalidRequest("say what is to be forgotten: request_id, user, client or before")
    if empty := sorted(name for name, value in query.items() if not value.strip()):
        raise InvalidRequest(f"{empty[0]} is empty: name what is to be forgotten")
    client = query.get("client")
    if (user := query.get("user")) is not None:
        client = client_of({}, name=user)
    before = query.get("before")
    try:
        seconds = None if before is None else float(before)
    except ValueError:
        seconds = math.nan
    if seconds is not None and not math.isfinite(seconds):
        raise InvalidRequest(f"before must be seconds since 1970, not {before!r:.40}")
    return Forgetting(query.get("request_id"), client, seconds)
