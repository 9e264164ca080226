"""A store in this process: the least recently used record goes first."""

from collections.abc import Iterable, Mapping
from typing import Final

from cachetools import LRUCache

from predictors.cache.key import DIGEST_BYTES
from predictors.cache.store import Store

# Two bytes objects, their slots in two dictionaries and an order.
OVERHEAD_BYTES: Final = 300


def _bytes(record: bytes) -> int:
    return DIGEST_BYTES + len(record) + OVERHEAD_BYTES


class MemoryStore(Store):
    def __init__(self, limit: int) -> None:
        self._records: LRUCache[bytes, bytes] = LRUCache(limit, getsizeof=_bytes)

    @property
    def size(self) -> int:
        return int(self._records.currsize)

    @property
    def entries(self) -> int:
        return len(self._records)

    async def read(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        return {key: self._records[key] for key in keys if key in self._records}

    async def write(self, records: Mapping[bytes, bytes]) -> None:
        for key, record in records.items():
            if _bytes(record) <= self._records.maxsize:
                self._records[key] = record
