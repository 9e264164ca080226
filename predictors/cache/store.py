"""The seam to where records are kept."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping


class StoreError(Exception):
    """A store can't be read or written just now. One clear line."""


class Store(ABC):
    """Keeps records by key up to a number of bytes, and drops old ones then.

    Used on one event loop; nothing blocks it.
    """

    @property
    @abstractmethod
    def size(self) -> int:
        """Bytes of keys and records, with what it takes to keep them."""

    @property
    @abstractmethod
    def entries(self) -> int: ...

    def open(self) -> None:
        """Before the event loop runs; may block. Raises ConfigurationError where the store is
        another model's, else StoreError, and then it may open later by itself; what it then finds
        to be another model's is a StoreError of `read` and `write`."""
        return None

    @abstractmethod
    async def read(self, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The records that are there. Raises StoreError."""

    @abstractmethod
    async def write(self, records: Mapping[bytes, bytes]) -> None:
        """Raises StoreError; then none or all of them are kept."""

    async def close(self) -> None:
        return None
