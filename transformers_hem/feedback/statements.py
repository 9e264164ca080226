"""What the writer asks of a store again and again, in the words of its driver.

Made by SQLAlchemy for each execution they cost several times what the store itself does: its
expressions are compiled anew wherever one asks for a list of values. Lists are one parameter here.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Table

from transformers_hem.feedback.records import Decided, Feedback, as_values, names_of
from transformers_hem.feedback.tables import DECISIONS, FEEDBACK

_DIGEST: Final = "digest"
_SAID: Final = ("key", _DIGEST, "request_id", "client", "source")


@dataclass(frozen=True, slots=True)
class Statements:
    """Of one driver. `listed` makes of texts the parameter that `among` takes."""

    insert_decisions: str
    insert_feedback: str
    said: str
    there: str
    known: str
    as_json: bool

    def listed(self, texts: Sequence[str]) -> Any:
        return orjson.dumps(texts).decode() if self.as_json else texts


def keep_decisions(connection: Connection, decisions: Sequence[Decided]) -> None:
    if decisions:
        rows = [as_values(each) for each in decisions]
        connection.exec_driver_sql(_of(connection).insert_decisions, rows)


def keep_feedback(connection: Connection, feedback: Sequence[tuple[Feedback, str]]) -> None:
    """With its digests."""
    if feedback:
        rows = [(*as_values(each), digest) for each, digest in feedback]
        connection.exec_driver_sql(_of(connection).insert_feedback, rows)


def said_before(
    connection: Connection, keys: Sequence[str], requests: Sequence[str]
) -> Sequence[Sequence[Any]]:
    """Key, digest, request, client and source of what has one of these keys, or is about one of
    these requests; perhaps twice."""
    of = _of(connection)
    asked = (of.listed(keys), of.listed(requests))
    return connection.exec_driver_sql(of.said, asked).all()


def decisions_there(connection: Connection, keys: Sequence[str]) -> frozenset[str]:
    """Of these keys."""
    of = _of(connection)
    found = connection.exec_driver_sql(of.there, (of.listed(keys),))
    return frozenset(found.scalars())


def requests_known(connection: Connection, requests: Sequence[str]) -> frozenset[str]:
    """Of these requests those whose decision is there."""
    of = _of(connection)
    found = connection.exec_driver_sql(of.known, (of.listed(requests),))
    return frozenset(found.scalars())


def _of(connection: Connection) -> Statements:
    return _made(connection.dialect.name)


@functools.cache
def _made(dialect: str) -> Statements:
    sqlite = dialect == "sqlite"
    mark = "?" if sqlite else "%s"
    among = "IN (SELECT value FROM json_each(?))" if sqlite else "= ANY(%s)"
    said = f"SELECT {', '.join(_SAID)} FROM {FEEDBACK.name} WHERE"
    return Statements(
        f"{_insert(DECISIONS, names_of(Decided), mark)} ON CONFLICT (key) DO NOTHING",
        _insert(FEEDBACK, [*names_of(Feedback), _DIGEST], mark),
        f"{said} key {among} UNION ALL {said} request_id {among}",
        f"SELECT key FROM {DECISIONS.name} WHERE key {among}",
        f"SELECT request_id FROM {DECISIONS.name} WHERE request_id {among}",
        as_json=sqlite,
    )


def _insert(table: Table, names: Sequence[str], mark: str) -> str:
    """Nobody asks for the rows' numbers."""
    quoted = ", ".join(f'"{name}"' for name in names)
    marks = ", ".join([mark] * len(names))
    return f"INSERT INTO {table.name} ({quoted}) VALUES ({marks})"
