"""The body of an answer, unpacked, up to so many bytes: a far side may send without an end."""

import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Final

import httpx

from predictors.errors import UpstreamError

ACCEPTED: Final = "gzip"  # the one content coding to ask for
CODINGS: Final = frozenset({"gzip", "x-gzip", "deflate"})
PART_BYTES: Final = 64 * 1024  # of what is unpacked at once


def bound_body(response: httpx.Response, where: str, limit: int) -> None:
    """Of a response that is not read yet. Reading it then raises UpstreamError beyond `limit` bytes
    and for a content coding that was not asked for, zlib.error for a broken one."""
    assert isinstance(response.stream, httpx.AsyncByteStream)
    coding = response.headers.pop("content-encoding", "identity").strip().lower()
    response.stream = _BoundedBody(response.stream, coding, where, limit)


class _BoundedBody(httpx.AsyncByteStream):
    def __init__(self, body: httpx.AsyncByteStream, coding: str, where: str, limit: int) -> None:
        self._body = body
        self._coding = coding
        self._where = where
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._limit
        async for part in self._parts():
            left -= len(part)
            if left < 0:
                text = f"{self._where} answered more than {self._limit} bytes (max_answer_bytes)"
                raise UpstreamError(text)
            yield part

    async def _parts(self) -> AsyncIterator[bytes]:
        packed = self._coding != "identity"
        if packed and self._coding not in CODINGS:
            raise UpstreamError(f"{self._where} answered in the coding {self._coding!r:.80}")
        inflater = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip's header, or zlib's
        async for chunk in self._body:
            for part in _inflated(inflater, chunk) if packed else (chunk,):
                yield part

    async def aclose(self) -> None:
        await self._body.aclose()


def _inflated(inflater: "zlib._Decompress", chunk: bytes) -> Iterator[bytes]:
    while chunk:
        yield inflater.decompress(chunk, PART_BYTES)
        chunk = inflater.unconsumed_tail
