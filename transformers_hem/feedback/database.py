"""What an open store is, whichever it is."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Literal

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

Sync = Literal["full", "normal"]


class Database(ABC):
    """One open store, of one thread."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Connection]:
        """What is done in it is durable once it has ended, or was not done. Raises Unusable,
        SQLAlchemyError."""

    @abstractmethod
    def is_broken(self, error: DBAPIError) -> bool:
        """Whether it has to be opened anew after this error."""

    def freed(self) -> None:  # noqa: B027 - PostgreSQL does that by itself
        """Rows were deleted that nobody may read any more."""

    @abstractmethod
    def close(self) -> None: ...
