"""The events of a streamed answer, as servers send them and not only as the standard has them.

They stay bytes: nearly all are one line of JSON, whose parser reads it as it is.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Callable
from typing import Final, NamedTuple

import httpx

from predictors.upstream.client import CONNECTION_ERRORS

# HTML's standard: lines end with LF, CRLF or CR, and an empty line ends an event.
_END: Final = re.compile(rb"\r\n\r\n|\n\n|\n\r\n|\r\r")
_LONGEST: Final = 4  # bytes of such an end
_DATA: Final = b"data: "
_MARK: Final = b"\xef\xbb\xbf"  # a byte order mark, which the standard leaves out


class Events:
    """Cuts what arrives into whole events, whatever the chunks of the network are."""

    def __init__(self) -> None:
        self._rest = b""

    def cut(self, chunk: bytes) -> list[bytes]:
        """Those that are whole now, with their ends."""
        if not self._rest and b"\r" not in chunk and 0 <= chunk.find(b"\n\n") == len(chunk) - 2:
            return [chunk]  # as nearly all arrive
        data = self._rest + chunk if self._rest else chunk
        found, begin = [], 0
        for end in _END.finditer(data, max(0, len(self._rest) - _LONGEST + 1)):
            found.append(data[begin : end.end()])
            begin = end.end()
        self._rest = data[begin:]
        return found

    def rest(self) -> bytes:
        """What came behind the last event that is whole: some servers leave its end out."""
        return self._rest.strip()


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
