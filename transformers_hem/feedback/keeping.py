"""Writes records, each once, in a transaction that holds those of many callers."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Literal, TypeVar

from sqlalchemy import Connection, Table, insert, select

from transformers_hem.feedback.faults import Conflict
from transformers_hem.feedback.records import Decided, Feedback, as_row
from transformers_hem.feedback.tables import DECISIONS, FEEDBACK

T = TypeVar("T")

# new; said before, with this key; or another thing than this client said of this request before.
State = Literal["new", "duplicate", "replaces"]
_AT_ONCE: Final = 500  # values of one statement


@dataclass(frozen=True, slots=True)
class Unit:
    """What is kept whole or not at all. `pushed`: by another server, which may send it again."""

    decisions: Sequence[Decided] = ()
    feedback: Sequence[Feedback] = ()
    pushed: bool = False

    @property
    def size(self) -> int:
        return len(self.decisions) + len(self.feedback)


@dataclass(frozen=True, slots=True)
class Kept:
    """`known`: the request's decision is here."""

    feedback: Feedback
    state: State
    known: bool


@dataclass(frozen=True, slots=True)
class Done:
    """Of one unit. `decisions`: those that were new."""

    kept: Sequence[Kept]
    decisions: int


def keep(connection: Connection, units: Sequence[Unit]) -> list[Done | Conflict]:
    """For each unit what became of it. Raises SQLAlchemyError, and IntegrityError where another
    process has just written the same: then again."""
    said = _said(connection, units)
    results: list[list[tuple[Feedback, State]] | Conflict] = []
    for unit in units:
        results.append(_sorted(unit, said))
    taken = [
        unit for unit, found in zip(units, results, strict=True) if not isinstance(found, Conflict)
    ]
    new_decisions = _keep_decisions(connection, taken)
    fresh = [
        feedback
        for found in results
        if not isinstance(found, Conflict)
        for feedback, state in found
        if state == "new"
    ]
    before = _before(connection, fresh)
    _insert(connection, FEEDBACK, [{**as_row(each), "digest": each.digest} for each in fresh])
    requests = {each.request_id for unit in taken for each in unit.feedback}
    known = _known(connection, requests) if requests else frozenset()
    return [
        found
        if isinstance(found, Conflict)
        else Done(
            [
                Kept(each, _replaces(each, state, before), each.request_id in known)
                for each, state in found
            ],
            sum(each.key in new_decisions for each in unit.decisions),
        )
        for unit, found in zip(units, results, strict=True)
    ]


def _said(connection: Connection, units: Sequence[Unit]) -> dict[str, str]:
    """Digests by keys, of those that are there already."""
    keys = [each.key for unit in units for each in unit.feedback]
    return dict(_where(connection, FEEDBACK, "key", keys, "key", "digest"))


def _sorted(unit: Unit, said: dict[str, str]) -> list[tuple[Feedback, State]] | Conflict:
    """What is new in it is in `said` afterwards."""
    mine: dict[str, str] = {}
    found: list[tuple[Feedback, State]] = []
    for each in unit.feedback:
        digest = each.digest
        there = mine.get(each.key) or said.get(each.key)
        if there not in (None, digest):
            return Conflict(
                f"the key of the feedback for request {each.request_id!r:.140} is another "
                "feedback's, which says something else: give each a key of its own"
            )
        found.append((each, "duplicate" if there else "new"))
        mine[each.key] = digest
    said.update(mine)
    return found


def _keep_decisions(connection: Connection, units: Sequence[Unit]) -> frozenset[str]:
    pushed = [each.key for unit in units if unit.pushed for each in unit.decisions]
    there = {key for (key,) in _where(connection, DECISIONS, "key", pushed, "key")}
    rows = {each.key: each for unit in units for each in unit.decisions if each.key not in there}
    _insert(connection, DECISIONS, [as_row(each) for each in rows.values()])
    return frozenset(rows)


def _before(
    connection: Connection, fresh: Sequence[Feedback]
) -> Mapping[tuple[str, str, str], set[str]]:
    """What each client said of a request by then, as digests."""
    requests = {each.request_id for each in fresh if each.source == "user"}
    columns = ("request_id", "client", "source", "digest")
    found: dict[tuple[str, str, str], set[str]] = {}
    for request, client, source, digest in _where(
        connection, FEEDBACK, "request_id", requests, *columns
    ):
        found.setdefault((request, client, source), set()).add(digest)
    return found


def _replaces(
    feedback: Feedback, state: State, before: Mapping[tuple[str, str, str], set[str]]
) -> State:
    others = before.get((feedback.request_id, feedback.client, feedback.source), set())
    return "replaces" if state == "new" and others - {feedback.digest} else state


def _known(connection: Connection, requests: Iterable[str]) -> frozenset[str]:
    found = _where(connection, DECISIONS, "request_id", requests, "request_id")
    return frozenset(request for (request,) in found)


def _where(
    connection: Connection, table: Table, column: str, values: Iterable[str], *wanted: str
) -> Iterator[Any]:
    statement = select(*(table.c[name] for name in wanted))
    for some in _batched(dict.fromkeys(values)):
        yield from connection.execute(statement.where(table.c[column].in_(some)))


def _insert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    if rows:
        connection.execute(insert(table).inline(), rows)  # their numbers are nobody's concern


def _batched(values: Iterable[T]) -> Iterator[list[T]]:
    left = iter(values)
    while some := list(islice(left, _AT_ONCE)):
        yield some
