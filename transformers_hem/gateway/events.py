"""What is in server-sent events, which are passed on as they came."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from predictors.upstream.openai.events import read_event

_DONE: Final = b"[DONE]"


def is_done(event: bytes) -> bool:
    return _DONE in event and read_event(event).data.strip() == _DONE


def payload(event: bytes) -> dict[str, Any] | None:
    """The JSON object that is an event's data; None where there is none."""
    try:
        data = orjson.loads(read_event(event).data)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


def event_of(data: Mapping[str, Any]) -> bytes:
    return b"data: " + orjson.dumps(data) + b"\n\n"
