"""An answer as the bytes that a store keeps: JSON, so that reading a file can't run code."""

from dataclasses import fields
from typing import Final

import orjson

from predictors.contract import Answer

# What describes the answering, not the answer: a hit has latencies of its own.
_OWN: Final = frozenset({"cached", "time_to_first_token", "inter_token_latency"})
_KEPT: Final = tuple(field.name for field in fields(Answer) if field.name not in _OWN)
_STREAMED: Final = "streamed"


def pack(answer: Answer) -> bytes:
    values = {name: getattr(answer, name) for name in _KEPT}
    record = {name: value for name, value in values.items() if value is not None}
    record[_STREAMED] = answer.inter_token_latency is not None
    return orjson.dumps(record)


def unpack(record: bytes, seconds: float) -> Answer:
    """The answer as a hit that took `seconds`. Its tokens come all at once: no time between them,
    left out where the engine never said. Raises ValueError for bytes that are no record."""
    values = orjson.loads(record)
    if not isinstance(values, dict) or not isinstance(values.get("text"), str):
        raise ValueError("a record without text")
    kept = {name: values[name] for name in _KEPT if name in values}
    return Answer(
        **kept,
        time_to_first_token=seconds,
        inter_token_latency=0.0 if values.get(_STREAMED) else None,
        cached=True,
    )
