"""One request to another server: its answer, bounded and read, or the error that fits.

Light, for clients that ask once: queue, retries and circuit breaker are those of upstream.call.
"""

import asyncio
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import Context
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeAlias, TypeVar

import httpx
import orjson

from predictors.errors import Cause, HEMError, InvalidRequest, Overloaded, UpstreamError
from predictors.memory import FREE_BYTES, hold
from predictors.upstream.arrival import ARRIVAL, WatchedBody
from predictors.upstream.client import shown
from predictors.upstream.connection_failures import CONNECTION_ERRORS, connection_failure
from predictors.upstream.json_body import parse_json
from predictors.upstream.redaction import NOTHING_SECRET, Redaction, repeated

T = TypeVar("T")
Read: TypeAlias = Callable[[httpx.Response, float], Awaitable[T]]

DEFAULT_MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
CODINGS: Final = frozenset({"identity", "gzip", "x-gzip", "deflate"})
PART_BYTES: Final = 64 * 1024  # of what is unpacked at once
END_SECONDS: Final = 1.0  # for the end of a body that has said all
_SAID_ALL: Final = "hem_said_all"  # an extension of responses
_ENDING: Final[set[asyncio.Task[None]]] = set()  # else nothing would hold them

# What the caller can mend. Everything else says that the server that was called is at fault.
CALLERS_FAULT: Final = frozenset({400, 413, 422})
# Where a server's own status says more than that it refused or failed.
STATUSES: Final[Mapping[int, int]] = {408: 504, 429: 503, 503: 503, 504: 504}
# A moment later the same call may succeed. Not 500: the model failed on this very query.
RETRYABLE: Final = frozenset({429, 502, 503, 504})


class Declined(ValueError):
    """Raised by what reads an answer: the server is well, but this question it, or its model, will
    not answer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer with another status than 200. `reason` is what its body says, without secrets;
    `shown` names a status that is not HTTP's own, as gRPC's."""

    where: str
    status: int
    reason: str
    retry_after: float | None = None
    body: bytes = b""
    shown: str = ""

    def error(self) -> UpstreamError:
        text = f"{self.where} answered {self.shown or self.status}"
        reason = repeated(self.reason)
        return UpstreamError(
            f"{text}: {reason}" if reason else text,
            self._cause(),
            status=STATUSES.get(self.status),
            retryable=self.status in RETRYABLE,
            retry_after=self.retry_after,
            answered=self.status,
        )

    def _cause(self) -> Cause:
        if self.status >= 500:
            return Cause.SERVER_ERROR
        return Cause.THROTTLED if self.status == 429 else Cause.REFUSED

    def relayed(self) -> HEMError:
        """For a server between its own caller and that one: what the caller can mend stays the
        caller's InvalidRequest."""
        if self.status in CALLERS_FAULT:
            return InvalidRequest(self.reason or str(self.error()))
        return self.error()


async def attempt(
    client: httpx.AsyncClient,
    request: httpx.Request,
    read: Read[T],
    *,
    seconds: float | None = None,
    limit: int = DEFAULT_MAX_ANSWER_BYTES,
    redaction: Redaction = NOTHING_SECRET,
    refused: Callable[[Refusal], HEMError] = Refusal.error,
) -> T:
    """What `read` makes of a 200 and of when its request left (perf_counter), within `seconds`.

    Whatever fails in `read`, the answer is unusable. Raises what `refused` returns for any other
    status, else UpstreamError with its cause: no connection, too late, more bytes than `limit`.
    """
    where, began = shown(request.url), time.perf_counter()
    try:
        async with asyncio.timeout(seconds):
            response = await client.send(request, stream=True)
            try:
                watch_body(response)
                bound_body(response, where, limit)
                with reading(where, redaction, passing=(*CONNECTION_ERRORS, Overloaded)):
                    if response.status_code == 200:
                        return await read(response, began)
                    body = await response.aread()
                reason = redaction.reason(error_reason(body))
                wait = retry_after(response.headers)
                raise refused(Refusal(where, response.status_code, reason, wait, body))
            finally:
                if _SAID_ALL in response.extensions and not response.is_closed:
                    _end_soon(response)
                else:
                    await response.aclose()
    except CONNECTION_ERRORS as error:
        raise connection_failure(error, where, redaction) from None


def said_all(response: httpx.Response) -> None:
    """By who reads a body whose end says nothing more, as that of an event stream behind its last
    event: nobody waits for it, but its connection is closed only where it does not come soon."""
    response.extensions[_SAID_ALL] = True


def _end_soon(response: httpx.Response) -> None:
    ending = asyncio.get_running_loop().create_task(_to_the_end(response), context=Context())
    _ENDING.add(ending)
    ending.add_done_callback(_ENDING.discard)


async def _to_the_end(response: httpx.Response) -> None:
    body = response.stream
    assert isinstance(body, httpx.AsyncByteStream)
    if isinstance(body, _BoundedBody):  # what is packed need not be unpacked any more
        body = body.body
    try:
        with suppress(*CONNECTION_ERRORS):  # a late end is one of them
            async with asyncio.timeout(END_SECONDS):
                async for _ in body:
                    pass
    finally:
        await response.aclose()


def as_json(read: Callable[[Any], T]) -> Read[T]:
    """A Read of the whole answer: what `read` makes of its JSON."""

    async def parsed(response: httpx.Response, began: float) -> T:
        return read(parse_json(await response.aread()))

    return parsed


async def unread(response: httpx.Response, began: float) -> bool:
    """A Read for who only asks whether it is a 200."""
    return True


@contextmanager
def reading(
    where: str,
    redaction: Redaction = NOTHING_SECRET,
    passing: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Around what reads an answer of `where`: whatever fails there, the answer is at fault.

    Raises UpstreamError, without secrets. Errors of `passing` go on as they are.
    """
    try:
        yield
    except UpstreamError:
        raise
    except passing:
        raise
    except Declined as error:
        reason = _reason(redaction, error)
        raise UpstreamError(f"{where} declined to answer: {reason}", Cause.DECLINED) from None
    except (ValueError, HEMError) as error:
        reason = _reason(redaction, error)
        raise UpstreamError(f"the answer of {where} is unusable: {reason}") from None
    except Exception as error:
        reason = _reason(redaction, error, f"{type(error).__name__}: {error}")
        raise UpstreamError(f"the answer of {where} can't be read: {reason}") from None


def _reason(redaction: Redaction, error: Exception, text: str | None = None) -> str:
    return redaction.reason(repeated(text or str(error))) or type(error).__name__


def error_reason(body: bytes) -> str:
    """What an error's body says is wrong: V2's `{"error": "..."}`, with a graph's `cause`; OpenAI's
    `{"error": {"message": "..."}}`; `{"message": "..."}`; FastAPI's `{"detail": ...}`; else all of
    it."""
    try:
        content = parse_json(body)
    except ValueError:
        return body.decode(errors="replace")
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], dict):
        content = content[0]  # Gemini's
    if isinstance(content, dict):
        for names in (("error", "cause"), ("message",), ("detail",)):
            if content.get(names[0]):
                return ": ".join(_text(content[name]) for name in names if content.get(name))
    return _text(content)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("message", value)
    return value if isinstance(value, str) else orjson.dumps(value).decode()


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds, from `Retry-After` (RFC 9110: seconds or a date), or from `retry-after-ms`, which
    OpenAI and Azure send beside it; None where absent or broken."""
    value = headers.get("retry-after", "")
    with suppress(ValueError):
        return max(0.0, float(headers.get("retry-after-ms", "")) / 1000)
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def watch_body(response: httpx.Response) -> None:
    """Of a response that is not read yet: tells the watch of this attempt what comes."""
    arrival = ARRIVAL.get()
    if arrival is not None:
        assert isinstance(response.stream, httpx.AsyncByteStream)
        arrival.answered(response.headers.get("content-type", ""))
        response.stream = WatchedBody(response.stream, arrival)


def bound_body(response: httpx.Response, where: str, limit: int) -> None:
    """Of a response that is not read yet: a server may send without an end. Reading it then unpacks
    it, and raises UpstreamError beyond `limit` bytes, zlib.error where it is not packed rightly.

    Reading also counts what is read among the bytes in flight. Raises UpstreamError for a content
    coding that was not asked for, and for a length that is too large already.
    """
    assert isinstance(response.stream, httpx.AsyncByteStream)
    headers = {name.lower(): value for name, value in response.headers.raw}
    length = headers.get(b"content-length", b"")
    plain = b"content-encoding" not in headers
    if plain and length.isdigit() and int(length) <= min(limit, FREE_BYTES):
        return  # the transport reads no more than that
    if plain and length.isdigit() and int(length) > limit:
        raise too_large(where, limit)
    coding = response.headers.pop("content-encoding", "identity").strip().lower()
    if coding not in CODINGS:
        raise UpstreamError(f"{where} answered in the coding {coding!r:.80}")
    response.stream = _BoundedBody(response.stream, coding != "identity", where, limit)


def too_large(where: str, limit: int) -> UpstreamError:
    return UpstreamError(
        f"{where} answered more than {limit} bytes (max_answer_bytes)", Cause.TOO_LARGE
    )


@dataclass(slots=True)
class _BoundedBody(httpx.AsyncByteStream):
    body: httpx.AsyncByteStream
    packed: bool
    where: str
    limit: int

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self.limit
        async for part in self._unpacked() if self.packed else self.body:
            left -= len(part)
            if left < 0:
                raise too_large(self.where, self.limit)
            hold(len(part))
            yield part

    async def _unpacked(self) -> AsyncIterator[bytes]:
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip's header, or zlib's
        async for chunk in self.body:
            while chunk:
                part = inflater.decompress(chunk, PART_BYTES)
                chunk = inflater.unconsumed_tail
                yield part

    async def aclose(self) -> None:
        await self.body.aclose()
