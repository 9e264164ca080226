"""JSON over HTTP to one server, by calls that are bounded, tried again and broken."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from copy import copy
from typing import Any, Final, TypeVar

import httpx
import orjson

from predictors.errors import BreakerOpen, HEMError, UpstreamError
from predictors.upstream.arrival import RECEIVED
from predictors.upstream.attempt import Read, Refusal, as_json, attempt, unread
from predictors.upstream.call import Upstream
from predictors.upstream.client import FORWARDED, URL, build_client, on_the_wire, shown
from predictors.upstream.ledger.decision import decided_headers
from predictors.upstream.ledger.egress import Egress
from predictors.upstream.probe import Look
from predictors.upstream.redaction import Redaction, secret_parameters, shown_url
from predictors.upstream.settings import Limits
from predictors.upstream.spans import answered, attempt_span, carry
from predictors.upstream.tenant import tenant_header
from predictors.upstream.traffic import Traffic

T = TypeVar("T")

STORE: Final = "store"  # OpenAI's field: whether it may keep what it gets, and its answer


class HTTPUpstream:
    """One base URL, whose parameters (`?api-version=...`) go with each call and are not shown.

    `headers` go with each call, and no error repeats what they hold, whatever the server answers.
    `refused` makes the error of an answer that is not 200: for a predictor that relays a call
    Refusal.relayed, for a client of its own Refusal.error. `client` is closed with this;
    `attempt_seconds` limits one attempt, beside the limits of the call. `waits` are Upstream's
    first and longest wait. `health` is a path that a busy server answers at once, whatever it
    answers; without one its health is never asked. `tells_decision`: the server is ours, and is
    told in headers why it is called; `tells_tenant`: and for whom.
    """

    def __init__(
        self,
        url: str,
        limits: Limits,
        client: httpx.AsyncClient | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        refused: Callable[[Refusal], HEMError] = Refusal.relayed,
        attempt_seconds: float | None = None,
        waits: tuple[float, float] = (0.1, 2.0),
        health: str | None = None,
        tells_decision: bool = False,
        tells_tenant: bool = False,
    ) -> None:
        self.url = shown_url(url)
        base, mark, parameters = url.partition("?")
        self._base, self._parameters = base, mark + parameters
        self._urls: dict[str, URL] = {}  # parsed once, by the path
        self._client = client or build_client(limits.timeout, connect=limits.connect_timeout)
        self._client.headers.update(headers or {})
        usual = self._client.timeout
        self._bounded = httpx.Timeout((usual.connect, None, usual.write, usual.pool))
        self._limit = limits.max_answer_bytes
        self._redaction = Redaction.of(headers or {}, secret_parameters(url))
        self._refused = refused
        self._seconds = attempt_seconds
        self._traffic = Traffic(self.url)
        self._tells_decision = tells_decision
        self._tells_tenant = tells_tenant
        self._egress = Egress(limits)
        self._upstream = Upstream(
            self.url,
            limits,
            alive=None if health is None else lambda: self.once("GET", health, unread),
            first_wait=waits[0],
            longest_wait=waits[1],
        )

    async def post(
        self,
        path: str,
        body: Any,
        read: Callable[[Any], T],
        *,
        headers: Mapping[str, str] | None = None,
        retry: bool = True,
        about: Mapping[str, Any] | None = None,
    ) -> T:
        """What `read` makes of the JSON answer to a POST of `body` as JSON; bytes go as they are.
        `about`: see `once`.

        `read` raises ValueError where the answer is not what it should be. Raises InvalidRequest
        where the server says that the caller is at fault (see `refused`), else UpstreamError or
        Overloaded. `headers` stand for FORWARDED.
        """
        content = body if isinstance(body, bytes) else _dumps(body)
        told = {**_about(body), **(about or {})}
        return await self._upstream.call(
            lambda: self.once("POST", path, as_json(read), content, headers=headers, about=told),
            retry=retry,
        )

    async def get(self, path: str, read: Callable[[Any], T]) -> T:
        """The same for a GET, whose answer is not computed."""
        return await self._upstream.call(
            lambda: self.once("GET", path, as_json(read)), computes=False
        )

    async def stream(
        self,
        path: str,
        body: Any,
        read: Read[T],
        *,
        streams: bool = True,
        given: Callable[[], bool] = lambda: False,
        around: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    ) -> T:
        """What `read` makes of an answer and of when its request left (perf_counter). `streams`: it
        comes bit by bit, while it is computed. `given`: whether somebody has got a part of it, so
        that it is not asked for again. `around` is entered around each attempt, which it may end by
        an UpstreamError.

        It raises as that of `post`.
        """
        content = _dumps(body)

        async def once() -> T:
            try:
                async with around():
                    about = _about(body)
                    return await self.once("POST", path, read, content, about=about, bounded=True)
            except UpstreamError as error:
                error.retryable = error.retryable and not given()
                raise

        return await self._upstream.call(once, streams=streams)

    async def once(
        self,
        method: str,
        path: str,
        read: Read[T],
        content: bytes | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        seconds: float | None = None,
        about: Mapping[str, Any] | None = None,
        bounded: bool = False,
    ) -> T:
        """One attempt that is not part of a call: it waits for no place, is not tried again, and
        the breaker neither stops it nor learns of it. `about` is what the ledger says beside it.
        `bounded`: a call around it watches over its time, so that no timer has to be set for each
        piece that comes.

        Raises as `post`; Unrecorded where the ledger can't be written.
        """
        carried = on_the_wire(FORWARDED.get() if headers is None else headers)
        if content is not None:
            carried["content-type"] = "application/json"
        if self._tells_decision:
            carried.update(decided_headers())
        if self._tells_tenant:
            carried.update(tenant_header())
        if path not in self._urls:
            self._urls[path] = URL(f"{self._base}{path}{self._parameters}")
        timeout = self._bounded if bounded else self._client.timeout
        request = self._client.build_request(
            method, self._urls[path], content=content, headers=carried, timeout=timeout
        )
        where = shown(request.url) if self._egress.records else ""
        with (
            attempt_span(request) as span,
            self._egress.attempt(where, method, content or b"", about or {}) as sent,
        ):
            carry(request)
            self._traffic.sent(request, content)
            received = self._traffic.receiver()
            token = RECEIVED.set(received)
            try:
                return await attempt(
                    self._client,
                    request,
                    sent.reading(read),
                    seconds=seconds or self._seconds,
                    limit=self._limit,
                    redaction=self._redaction,
                    refused=sent.refusing(self._refused),
                )
            finally:
                RECEIVED.reset(token)
                sent.received = received.end()
                if isinstance(sent.status, int):
                    answered(span, sent.status)

    def refusing(self, refused: Callable[[Refusal], HEMError]) -> "HTTPUpstream":
        """The same server, queue and breaker for calls whose refusals mean something else; close
        only one of both."""
        other = copy(self)
        other._refused = refused
        return other

    @property
    def running(self) -> int:
        """Calls that are under way."""
        return self._upstream.running

    def refuses(self) -> BreakerOpen | None:
        """See Upstream.refuses."""
        return self._upstream.refuses()

    def doubts(self) -> BreakerOpen | None:
        """See Upstream.doubts."""
        return self._upstream.doubts()

    def insist(self) -> None:
        """See Upstream.insist."""
        self._upstream.insist()

    def watch(self, look: Look) -> None:
        """See Upstream.watch."""
        self._upstream.watch(look)

    async def close(self) -> None:
        await self._upstream.close()
        await self._client.aclose()
        self._egress.close()


def _about(body: Any) -> dict[str, Any]:
    """What a body says of how long it is kept, where it says so."""
    kept = body.get(STORE) if isinstance(body, dict) else None
    return {} if kept is None else {STORE: bool(kept)}


def _dumps(body: Any) -> bytes:
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
