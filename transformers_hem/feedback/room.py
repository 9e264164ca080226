"""Makes room in a store: what is too old or too much goes, and what somebody asks to forget."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Table, delete, func, or_, select

from transformers_hem.feedback import metrics
from transformers_hem.feedback.database import Database
from transformers_hem.feedback.tables import DECISIONS, FEEDBACK

DAY: Final = 86_400.0
AT_ONCE: Final = 2_000  # rows of one transaction, so that nobody waits long for it
_TABLES: Final = (FEEDBACK, DECISIONS)


@dataclass(frozen=True, slots=True)
class Retention:
    """How long, and how many: of decisions and of feedback each. `now`: by which clock."""

    days: float
    rows: int
    now: Callable[[], float] = time.time

    def tidy(self, database: Database) -> bool:
        """Whether there may be more to do. Raises what `transaction` raises."""
        again, oldest = False, self.now() - self.days * DAY
        for table in _TABLES:
            old = self._delete(database, table, table.c.at < oldest, "age")
            with database.transaction() as connection:
                last = connection.execute(
                    select(table.c.id).order_by(table.c.id.desc()).offset(self.rows).limit(1)
                ).scalar()
            many = 0
            if last is not None:
                many = self._delete(database, table, table.c.id <= last, "rows")
            again |= AT_ONCE in (old, many)
        return again

    def _delete(self, database: Database, table: Table, condition: Any, why: str) -> int:
        some = select(table.c.id).where(condition).limit(AT_ONCE).scalar_subquery()
        with database.transaction() as connection:
            count = connection.execute(delete(table).where(table.c.id.in_(some))).rowcount
        metrics.DELETED.labels(why).inc(count)
        return count


@dataclass(frozen=True, slots=True)
class Forgetting:
    """What is to go: all that fits each of those that are set. At least one is."""

    request_id: str | None = None
    client: str | None = None
    before: float | None = None

    def forget(self, database: Database) -> dict[str, int]:
        """Some of it, and how many rows by table: none are left where there were none. Raises what
        `transaction` raises."""
        counts: dict[str, int] = {}
        with database.transaction() as connection:
            for table in _TABLES:  # decisions last: what was said of them is found by them
                some = select(table.c.id).where(*self._conditions(table)).limit(AT_ONCE)
                found = connection.execute(
                    delete(table).where(table.c.id.in_(some.scalar_subquery()))
                )
                counts[str(table.name)] = found.rowcount
                if found.rowcount == AT_ONCE:
                    break
        metrics.DELETED.labels("asked").inc(sum(counts.values()))
        if any(counts.values()):
            database.freed()
        return counts

    def _conditions(self, table: Table) -> list[Any]:
        found: list[Any] = []
        if self.request_id is not None:
            found.append(table.c.request_id == self.request_id)
        if self.before is not None:
            found.append(table.c.at < self.before)
        if self.client is not None:
            of_client = table.c.client == self.client
            if table is FEEDBACK:  # others may have said something of this client's requests
                theirs = select(DECISIONS.c.request_id).where(DECISIONS.c.client == self.client)
                of_client = or_(of_client, table.c.request_id.in_(theirs))
            found.append(of_client)
        return found


def counted(database: Database) -> dict[str, Any]:
    """How many rows there are, and when the oldest and the newest came."""
    found: dict[str, Any] = {}
    with database.transaction() as connection:
        for table in _TABLES:
            asked = select(func.count(), func.min(table.c.at), func.max(table.c.at))
            rows, first, last = connection.execute(asked.select_from(table)).one()
            found[str(table.name)] = {"rows": rows, "first": first, "last": last}
        there = select(DECISIONS.c.request_id).where(
            DECISIONS.c.request_id == FEEDBACK.c.request_id
        )
        unknown = select(func.count()).select_from(FEEDBACK).where(~there.exists())
        found["unknown"] = connection.execute(unknown).scalar_one()
    return found
