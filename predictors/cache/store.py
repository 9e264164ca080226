"""Where answers are kept: a record's bytes, the seam to stores of records, and one in memory."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Final

import orjson
from cachetools import LRUCache

from predictors.contents import DIGEST_BYTES
from predictors.contract import Answer, is_telemetry
from predictors.contract.names import TELEMETRY

# Fields that describe how an answer was served, not the answer: a hit has its own.
_SERVED: Final = frozenset(
    {"cached", "cached_tokens", "time_to_first_token", "inter_token_latency"}
)
_KEPT: Final = tuple(field.name for field in fields(Answer) if field.name not in _SERVED)
_STREAMED: Final = "streamed"
# Of a record in memory: two bytes objects, their slots in two dictionaries and an order.
OVERHEAD_BYTES: Final = 300


def pack(answer: Answer) -> bytes:
    """The answer as JSON, so that reading a file can't run code."""
    values = {name: getattr(answer, name) for name in _KEPT}
    record = {name: value for name, value in values.items() if value is not None}
    record[_STREAMED] = answer.inter_token_latency is not None
    return orjson.dumps(record)


def unpack(record: bytes, seconds: float) -> Answer:
    """The answer as a hit that took `seconds`. Its tokens come all at once, with no time between
    them; that time is missing where the engine gives none. Raises ValueError for other bytes."""
    values = orjson.loads(record)
    if not isinstance(values, dict) or not isinstance(values.get("text"), str):
        raise ValueError("a record without text")
    served_by = values.get("served_by")
    if not (served_by is None or isinstance(served_by, str)):
        raise ValueError("a record whose served_by is no name")
    for name in TELEMETRY:
        if name in values and not is_telemetry(name, values[name]):
            raise ValueError(f"a record whose {name} is none")
    return Answer(
        **{name: values[name] for name in _KEPT if name in values},
        time_to_first_token=seconds,
        inter_token_latency=0.0 if values.get(_STREAMED) else None,
        cached=True,
    )


class StoreError(Exception):
    """A store can't be read or written just now. One clear line."""


class Store(ABC):
    """Keeps records by key up to a number of bytes, and then drops old ones.

    `entries` are the records in it, `size` the bytes of keys and records with what it takes to
    keep them. Used on one event loop; nothing blocks it.
    """

    size: int = 0
    entries: int = 0

    def open(self) -> None:
        """Before the event loop runs; may block. Raises ConfigurationError where the place is
        not for a store, else StoreError: then it may open by itself later."""
        return None

    @abstractmethod
    async def read(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The records of the keys that are there. Raises StoreError."""

    @abstractmethod
    async def write(self, records: Mapping[bytes, bytes]) -> None:
        """Keeps all records, or none and raises StoreError."""

    async def close(self) -> None:
        return None


class MemoryStore(Store):
    """In this process: the least recently used record goes first."""

    def __init__(self, limit: int) -> None:
        self._records: LRUCache[bytes, bytes] = LRUCache(limit, getsizeof=_bytes)

    async def read(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        return {key: self._records[key] for key in keys if key in self._records}

    async def write(self, records: Mapping[bytes, bytes]) -> None:
        for key, record in records.items():
            if _bytes(record) <= self._records.maxsize:
                self._records[key] = record
        self.size, self.entries = int(self._records.currsize), len(self._records)


def _bytes(record: bytes) -> int:
    return DIGEST_BYTES + len(record) + OVERHEAD_BYTES
