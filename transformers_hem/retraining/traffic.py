"""A plain sample of the queries that a router decides, whether or not anybody said something of
them: an edge share is promised of all of them.

A decision counts where an algorithm has judged the query, whichever side answered, whatever it
answered, and whatever became of the decision afterwards: a budget that was used up, or an edge that
failed, meets one end of the scores alone, and without these queries the rest would be no plain
sample. Where a guard, a caller or the conversation before had decided already, nobody judged it,
and no new router would. A server watches its drift by the same queries. Of a request with several
queries, or with something private, a store keeps nothing that could be scored.
"""

import math
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace
from time import time as now
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from transformers_hem.arrays import Flags
from transformers_hem.lifelong.drawing import LARGEST, Names, draw, effective_rows, name_of
from transformers_hem.retraining.gathering import hidden_query, open_store
from transformers_hem.routers.fingerprints import fingerprint

if TYPE_CHECKING:
    from sqlalchemy import Connection

SECONDS: Final = 86_400.0  # the newest day, as a site's retrainings are a day apart,
HOUR: Final = 3600.0
LEAST: Final = 5_000  # and at least so many decisions, of which a tenth is enough for most promises
_JUDGED: Final = ("algorithm", "no_signal")  # reasons; whatever has a score was judged as well
_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class Traffic:
    """`decided` queries are in the newest time, of which these [n] were drawn, in the order in
    which they came: none where they are too few for the promise, which takes about `needed`.

    `names` [n] are equal where queries are; `often` [n] and `alike`: see `lifelong/drawing.py`."""

    decided: int
    needed: int
    queries: list[str]
    names: Names
    often: Flags
    alike: float

    @property
    def would_do(self) -> int:
        """Decisions, about."""
        return math.ceil(self.needed * self.alike / LARGEST)

    @property
    def enough(self) -> bool:
        return self.decided >= self.would_do

    @property
    def effective(self) -> float:
        return effective_rows(self.names, self.often)

    @property
    def held(self) -> frozenset[bytes]:
        """Fingerprints of the queries that nobody may learn from."""
        rows = zip(self.queries, self.often, strict=True)
        return frozenset(fingerprint(query) for query, often in rows if not often)

    def unknown_to(self, learned: frozenset[bytes]) -> "Traffic":
        """Without what a router has learned from, by fingerprints, and what is asked seldom."""
        rows = zip(self.queries, self.often, strict=True)
        kept = [i for i, (query, often) in enumerate(rows) if often or _new(query, learned)]
        return replace(
            self,
            queries=[self.queries[i] for i in kept],
            names=self.names[kept],
            often=self.often[kept],
        )


def read_traffic(store: str, needed: int, *, hidden: bool) -> Traffic:
    """`hidden`: the learner takes queries of which only a LinearRouter's features were kept. Raises
    ConfigurationError where the store can't be read."""
    least = LEAST
    with open_store(store) as connection:
        while True:
            numbers, names, hours = array("q"), array("Q"), array("q")
            for number, at, query_hash in _decided(connection, hidden, least):
                numbers.append(number)
                names.append(name_of(query_hash))
                hours.append(int(at // HOUR))
            every = np.array(names, dtype=np.uint64)
            drawn = draw(every, needed, np.array(hours, dtype=np.int64))
            nothing = Traffic(len(every), needed, [], every[:0], drawn.often[:0], drawn.alike)
            if nothing.enough:
                break
            if len(every) < least:  # all that there are
                return nothing
            least = max(2 * len(every), nothing.would_do)
        found = dict(_queries(connection, [numbers[row] for row in drawn.rows], hidden))
    # Some may have been deleted meanwhile, by their age.
    there = np.array([numbers[row] in found for row in drawn.rows], dtype=bool)
    rows = drawn.rows[there]
    queries = [found[numbers[row]] for row in rows]
    return replace(nothing, queries=queries, names=every[rows], often=drawn.often[there])


def _decided(
    connection: "Connection", hidden: bool, least: int
) -> Iterator[tuple[int, float, str]]:
    """Of the newest decisions, `least` ones at least, their numbers, times and queries' hashes, in
    the order in which they came."""
    from sqlalchemy import func, select

    from transformers_hem.feedback.tables import DECISIONS

    columns = DECISIONS.c
    judged = _judged(hidden)
    last = connection.execute(select(func.max(columns.at)).where(*judged)).scalar()
    if last is None:
        return
    last = min(last, now())  # a clock that was ahead for a moment would leave no day before it
    by_number = select(columns.at).where(*judged).order_by(columns.at.desc()).offset(least - 1)
    first = connection.execute(by_number.limit(1)).scalar()
    asked = (
        select(columns.id, columns.at, columns.query_hash)
        .where(*judged, columns.at >= (0.0 if first is None else min(first, last - SECONDS)))
        .order_by(columns.at, columns.id)
        .execution_options(yield_per=LEAST)
    )
    for number, at, query_hash in connection.execute(asked):
        yield int(number), float(at), str(query_hash)


def _judged(hidden: bool) -> list[Any]:
    """What is asked of a decision, and of what is kept of its query."""
    from sqlalchemy import or_

    from transformers_hem.feedback.tables import DECISIONS

    columns = DECISIONS.c
    text = columns.query != ""
    return [
        or_(columns.score.is_not(None), columns.reason.in_(_JUDGED)),
        columns.query_hash != "",
        or_(text, columns.features.is_not(None)) if hidden else text,
    ]


def _queries(
    connection: "Connection", numbers: list[int], hidden: bool
) -> Iterator[tuple[int, str]]:
    """By their decisions' numbers."""
    from sqlalchemy import select

    from transformers_hem.feedback.tables import DECISIONS

    columns = DECISIONS.c
    wanted = select(columns.id, columns.query_hash, columns.query, columns.features)
    for start in range(0, len(numbers), _AT_ONCE):
        some = numbers[start : start + _AT_ONCE]
        for number, name, text, features in connection.execute(wanted.where(columns.id.in_(some))):
            query = text or (hidden_query(name, features) if hidden else None)
            if query is not None:
                yield number, query


def _new(query: str, learned: frozenset[bytes]) -> bool:
    return fingerprint(query) not in learned
