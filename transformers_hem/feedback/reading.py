"""Reads what was kept: decisions with what was said of them, and rows to train on."""

import base64
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any, Final, Literal, TypeVar

from sqlalchemy import Connection, Engine, Row, case, func, select
from sqlalchemy.exc import SQLAlchemyError

from predictors.contract import EDGE
from predictors.errors import ConfigurationError, first_line
from transformers_hem.algorithms.base import Route
from transformers_hem.feedback.faults import Unusable
from transformers_hem.feedback.migrations import is_current
from transformers_hem.feedback.opening import reading_engine
from transformers_hem.feedback.place import Place
from transformers_hem.feedback.records import Decided, Feedback
from transformers_hem.feedback.tables import DECISIONS, FEEDBACK

R = TypeVar("R", Decided, Feedback)

_AT_ONCE: Final = 1000
_PREFERRED: Final = {"edge": (1.0, 0.0), "cloud": (0.0, 1.0), "tie": (0.5, 0.5)}


@dataclass(frozen=True, slots=True)
class Example:
    """A decision, and what one client, or one scorer, said of its answer last."""

    decided: Decided
    feedback: Feedback

    @property
    def served(self) -> Route:
        """Of a V2 request the side that was decided."""
        return self.decided.served or self.decided.route

    @property
    def own(self) -> bool | None:
        """Whether the client who asked says it; None where one of both is not known."""
        asked, says = self.decided.client, self.feedback.client
        return asked == says if asked and says else None

    @property
    def scores(self) -> tuple[float | None, float | None]:
        """Of the edge's and of the cloud's answer; None: not known."""
        said = self.feedback
        if said.edge_score is not None or said.cloud_score is not None:
            return said.edge_score, said.cloud_score
        if said.preferred is not None:
            return _PREFERRED[said.preferred]
        quality = quality_of(said)
        return (quality, None) if self.served == EDGE else (None, quality)

    @property
    def weight(self) -> float:
        """One over the probability that this was seen."""
        both = self.feedback.source == "shadow" and self.decided.shadow_share > 0
        return 1 / (self.decided.shadow_share if both else self.decided.propensity)

    def as_json(self) -> dict[str, Any]:
        """A row to train on; a side that nobody saw has no score in it."""
        decided, (edge, cloud) = self.decided, self.scores
        row: dict[str, Any] = {"request_id": decided.request_id}
        if decided.query is not None:
            row["query"] = decided.query
        if decided.features is not None:
            row["features"] = base64.b64encode(decided.features).decode()
        row |= {} if edge is None else {"edge_score": edge}
        row |= {} if cloud is None else {"cloud_score": cloud}
        if self.feedback.answer is not None:
            row["answer"] = self.feedback.answer
        return row | {
            "weight": self.weight,
            "source": self.feedback.signal or self.feedback.source,
            "client": self.feedback.client,
            "own": self.own,
            "at": self.feedback.at,
            "decided_at": decided.at,
            "served": self.served,
            "score": decided.score,
            "threshold": decided.threshold,
            "algorithm": decided.algorithm,
            "version": decided.version,
            "query_hash": decided.query_hash,
        }


@contextmanager
def reading(place: Place) -> Iterator[Connection]:
    """Of a store that another process may write meanwhile. Raises Unusable where it can't be read,
    also for what goes wrong inside."""
    engine = _engine(place)
    try:
        with _connected(engine) as connection:
            _require_current(connection, place)
            yield connection
    except SQLAlchemyError as error:
        raise Unusable(f"the store {place.shown}: {_why(error, place)}") from None
    finally:
        engine.dispose()


def _engine(place: Place) -> Engine:
    """Raises Unusable."""
    try:
        return reading_engine(place)
    except (ConfigurationError, SQLAlchemyError) as error:
        raise Unusable(f"the store {place.shown}: {first_line(error)}") from None


def _why(raised: SQLAlchemyError, place: Place) -> str:
    fault = getattr(raised, "orig", None) or raised
    why = first_line(fault)
    code = getattr(fault, "sqlite_errorcode", 0) & 0xFF
    if place.path is None or code not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
        return why
    try:
        place.path.open("rb").close()
    except OSError as error:
        return f"{why}: {error.strerror}"
    return (
        f"{why}: also to read it SQLite writes {place.path.name}-shm beside it, which it can't in "
        "this folder as this user; read a copy that lies elsewhere"
    )


def _connected(engine: Engine) -> Connection:
    """Raises Unusable, SQLAlchemyError."""
    try:
        return engine.connect()
    except ConfigurationError as error:
        raise Unusable(str(error)) from None


def _require_current(connection: Connection, place: Place) -> None:
    """Raises Unusable."""
    try:
        current = is_current(connection)
    except ConfigurationError as error:
        raise Unusable(f"the store {place.shown}: {error}") from None
    if not current:
        raise Unusable(
            f"{place.shown} has no tables of this version of HEM: a server makes them when it is "
            "started with this store"
        )


def quality_of(said: Feedback) -> float | None:
    """Of the answer that was served, in [0, 1]: what is surest counts."""
    if said.corrected:
        return 0.0
    if said.correct is not None:
        return float(said.correct)
    if said.rating is not None:
        return said.rating
    return None if said.thumb_up is None else float(said.thumb_up)


def examples(
    connection: Connection, since: float | None = None, until: float | None = None
) -> Iterator[Example]:
    """In the order of the decisions' numbers, of feedback that came in [since, until). Feedback
    whose decision is not here is left out. Where several decisions have a request's id it is of
    the one of the same client, that was before it, and nearest to it."""
    nearest = func.row_number().over(
        partition_by=FEEDBACK.c.id,
        order_by=(
            case((DECISIONS.c.client == FEEDBACK.c.client, 0), else_=1),
            case((DECISIONS.c.at <= FEEDBACK.c.at, 0), else_=1),
            func.abs(DECISIONS.c.at - FEEDBACK.c.at),
            DECISIONS.c.id,
        ),
    )
    of_request = DECISIONS.c.request_id == FEEDBACK.c.request_id
    pairs = (
        select(DECISIONS.c.id.label("decided"), FEEDBACK.c.id.label("said"), nearest.label("rank"))
        .join_from(FEEDBACK, DECISIONS, of_request)
        .where(*_between(since, until))
        .subquery()
    )
    asked = (
        select(DECISIONS, FEEDBACK)
        .join_from(pairs, DECISIONS, DECISIONS.c.id == pairs.c.decided)
        .join(FEEDBACK, FEEDBACK.c.id == pairs.c.said)
        .where(pairs.c.rank == 1)
        .order_by(DECISIONS.c.id, FEEDBACK.c.at, FEEDBACK.c.key)
    )
    rows = connection.execute(asked.execution_options(yield_per=_AT_ONCE))
    split = len(DECISIONS.c)
    for _, group in groupby(rows, key=lambda row: row[0]):
        yield from _newest(list(group), split)


def records_after(
    connection: Connection, kind: Literal["decisions", "feedback"], number: int, most: int
) -> list[tuple[int, Any]]:
    """Records with their numbers, behind this one."""
    table = DECISIONS if kind == "decisions" else FEEDBACK
    made: Any = Decided if kind == "decisions" else Feedback
    asked = select(table).where(table.c.id > number).order_by(table.c.id).limit(most)
    return [(row[0], _record(made, table.c.keys(), row)) for row in connection.execute(asked)]


def _between(since: float | None, until: float | None) -> Iterator[Any]:
    if since is not None:
        yield FEEDBACK.c.at >= since
    if until is not None:
        yield FEEDBACK.c.at < until


def _newest(rows: list[Row[Any]], split: int) -> list[Example]:
    """Of each source and client what it said last."""
    decided = _record(Decided, DECISIONS.c.keys(), rows[0][:split])
    found: dict[tuple[str, str, str, str], Feedback] = {}
    for row in rows:
        said = _record(Feedback, FEEDBACK.c.keys(), row[split:])
        by = (said.source, said.client, said.signal, said.scorer)
        found.pop(by, None)
        found[by] = said
    return [Example(decided, said) for said in found.values()]


def _record(kind: type[R], columns: Any, values: Any) -> R:
    row = dict(zip(columns, values, strict=True))
    return kind(**{each.name: row[each.name] for each in fields(kind)})
