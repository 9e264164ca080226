"""Server-sent events as bytes: where one ends, and which ones end an answer.

Events are passed on as they came. Only those that end an answer are read, to add the decision.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

# HTML's standard: lines end with LF, CRLF or CR, and an empty line ends an event.
_END: Final = re.compile(rb"\r\n\r\n|\n\n|\r\r")
_DONE: Final = re.compile(rb"^data: ?\[DONE\]\s*$")
_ENDS: Final = re.compile(rb'"(?:finish_reason|usage|error)" ?: ?["{]')


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


def may_end(event: bytes) -> bool:
    """Whether it may hold a finish reason, token counts or an error; cheap, and seldom true."""
    return _ENDS.search(event) is not None


def payload(event: bytes) -> dict[str, Any] | None:
    """The JSON object that is an event's data; None where there is none."""
    lines = [line[5:].strip() for line in event.splitlines() if line.startswith(b"data:")]
    try:
        data = orjson.loads(b"\n".join(lines))
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


def event_of(data: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"
