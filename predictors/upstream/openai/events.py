"""The events of a streamed answer, as servers send them and not only as the standard has them.

They stay bytes: nearly all are one line of JSON, whose parser reads it as it is.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from typing import Final, NamedTuple

import httpx

from predictors.upstream.connection_failures import CONNECTION_ERRORS

# HTML's standard: lines end with LF, CRLF or CR, and an empty line ends an event.
_END: Final = re.compile(rb"\r\n\r\n|\n\n|\n\r\n|\r\r")
_LONGEST: Final = 4  # bytes of such an end
_DATA: Final = b"data: "
_MARK: Final = b"\xef\xbb\xbf"  # a byte order mark, which the standard leaves out


class Events:
    """Cuts what arrives into whole events, whatever the chunks of the network are."""

    def __init__(self) -> None:
        self._rest: list[bytes] = []  # of an event that is not whole
        self._last = b""  # bytes of it, which may begin an end

    def cut(self, chunk: bytes) -> list[bytes]:
        """Those that are whole now, with their ends."""
        if not self._rest and b"\r" not in chunk and 0 <= chunk.find(b"\n\n") == len(chunk) - 2:
            return [chunk]  # as nearly all arrive
        looked_at = self._last + chunk
        if _END.search(looked_at) is None:  # a large event is put together once, at its end
            self._keep(chunk, looked_at)
            return []
        data = b"".join((*self._rest, chunk))
        found, begin = [], 0
        for end in _END.finditer(data, len(data) - len(looked_at)):
            found.append(data[begin : end.end()])
            begin = end.end()
        self._rest, self._last = [], b""
        if rest := data[begin:]:
            self._keep(rest, rest)
        return found

    def _keep(self, chunk: bytes, looked_at: bytes) -> None:
        self._rest.append(chunk)
        self._last = looked_at[1 - _LONGEST :]

    def rest(self) -> bytes:
        """What came behind the last event that is whole: some servers leave its end out."""
        return b"".join(self._rest).strip()


class Event(NamedTuple):
    """`data` may be anything; empty where it has none, as a comment."""

    name: str
    data: bytes


def read_event(event: bytes) -> Event:
    """What a whole event says."""
    if event.startswith(_DATA) and event.find(b"\n") == len(event) - 2:
        return Event("", event[len(_DATA) : -2])
    name, data = b"", []
    for line in event.removeprefix(_MARK).splitlines():
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.strip()
    return Event(name.decode(errors="replace"), b"\n".join(data))


async def arriving(
    response: httpx.Response, patience: Callable[[], float | None]
) -> AsyncGenerator[list[bytes]]:
    """Server-sent events to the end of the response, whatever content type it names: those that
    arrive together at once.

    `patience` is asked after each time: seconds to wait for all that may still come, None for as
    long as the call may last. Once there is such a limit the rest is dispensable: where it is late
    or the connection breaks, the events end.
    """
    events, chunks = Events(), response.aiter_raw()  # unpacked already
    loop = asyncio.get_running_loop()
    deadline: float | None = None
    while True:
        try:
            if deadline is None:
                chunk = await anext(chunks, b"")
            else:
                async with asyncio.timeout_at(deadline):
                    chunk = await anext(chunks, b"")
        except CONNECTION_ERRORS:
            if deadline is None:
                raise
            return
        if not chunk:
            break
        if found := events.cut(chunk):
            yield found
            seconds = patience()
            if seconds is not None and deadline is None:
                deadline = loop.time() + seconds
    if rest := events.rest():
        yield [rest + b"\n\n"]
