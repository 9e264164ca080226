"""Server-sent events as bytes, which are passed on as they came."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

# HTML's standard: lines end with LF, CRLF or CR, and an empty line ends an event.
_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_DONE: Final = re.compile(rb"^data: ?\[DONE\]\s*$")


class Events:
    """Cuts what arrives into whole events, whatever the chunks of the network are."""

    def __init__(self) -> None:
        self._rest = b""

    def cut(self, chunk: bytes) -> Iterator[bytes]:
        data = self._rest + chunk if self._rest else chunk
        begin = 0
        for end in _END.finditer(data, max(0, len(self._rest) - 3) if self._rest else 0):
            yield data[begin : end.end()]
            begin = end.end()
        self._rest = data[begin:]

    def rest(self) -> bytes:
        """What came behind the last event that is whole: some servers leave its end out."""
        return self._rest.strip()


def is_done(event: bytes) -> bool:
    return event.startswith(b"data") and _DONE.match(event) is not None


def payload(event: bytes) -> dict[str, Any] | None:
    """The JSON object that is an event's data; None where there is none."""
    if event.startswith(b"data: ") and event.count(b"\n") == 2:  # as nearly all servers write it
        text = event[6:]
    else:
        lines = (line[5:] for line in event.splitlines() if line.startswith(b"data:"))
        text = b"\n".join(lines)
    try:
        data = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


def event_of(data: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"
