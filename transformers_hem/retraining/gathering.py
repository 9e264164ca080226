"""Rows of base data and of a store of feedback, as observations, oldest first."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from predictors.errors import ConfigurationError
from transformers_hem.labels.labels import read_labels
from transformers_hem.lifelong.observations import Kind, Observation, Observations, Propensity
from transformers_hem.routers.linear.features import HashedQuery

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from transformers_hem.feedback.reading import Example

NO_TEXT: Final = "no text of the query was kept"
NO_SIDE: Final = "no score, as signals (a retry, a re-ask) have none"
NO_CHANCE: Final = "a shadow pair whose chance was not written down"
NOT_OWN: Final = "said by another client than the one who asked"
NO_DECISION: Final = (
    "its decision is not in the store: deleted by age or number before the feedback came, or not "
    "arrived yet"
)
_KINDS: Final[dict[str, Kind]] = {"user": "explicit", "signal": "implicit", "shadow": "shadow"}


@dataclass(frozen=True, slots=True)
class Gathered:
    """The first `base` of them are base rows. `rows` says how many there are of each kind,
    `left_out` why others could not be used."""

    seen: Observations
    base: int
    rows: dict[str, int]
    left_out: dict[str, int]


def gather(base: Sequence[Path], store: str, *, hidden: bool, own: bool = False) -> Gathered:
    """`hidden`: queries count of which only a LinearRouter's features were kept. `own`:
    not what another client says than the one who asked. Raises ConfigurationError, also where all
    that the store has lacks the text that the learner needs."""
    counts: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    rows = chain(of_base(base), _of_store(store, hidden, own, left_out))
    seen = Observations.of(_counted(rows, counts))
    if len(seen) == counts["base"] and left_out[NO_TEXT] and not hidden:
        told = ", ".join(f"{count}: {why}" for why, count in left_out.items())
        raise ConfigurationError(
            f"there is nothing to learn from in the store ({told}): let texts be kept "
            "(HEM_FEEDBACK_TEXT=on). Without them only a LinearRouter can be trained, and only "
            "where the version in force is one, too"
        )
    return Gathered(seen, counts["base"], dict(counts), dict(left_out))


def _counted(rows: Iterable[Observation], counts: Counter[str]) -> Iterator[Observation]:
    for row in rows:
        counts[row.kind] += 1
        yield row


def _of_store(store: str, hidden: bool, own: bool, left_out: Counter[str]) -> Iterator[Observation]:
    """What can't be used is counted in `left_out`. Raises ConfigurationError."""
    if not store:
        return
    from transformers_hem.feedback.reading import examples

    with open_store(store) as connection:
        for example in examples(connection):
            row = of_example(example, hidden=hidden, own=own)
            if isinstance(row, str):
                left_out[row] += 1
            else:
                yield row
        if unmatched := _unmatched(connection):
            left_out[NO_DECISION] = unmatched


def _unmatched(connection: "Connection") -> int:
    """Feedback whose decision is not there."""
    from sqlalchemy import func, select

    from transformers_hem.feedback.tables import DECISIONS, FEEDBACK

    there = select(DECISIONS.c.request_id).where(DECISIONS.c.request_id == FEEDBACK.c.request_id)
    asked = select(func.count()).select_from(FEEDBACK).where(~there.exists())
    return int(connection.execute(asked).scalar_one())


def of_base(files: Sequence[Path]) -> Iterator[Observation]:
    """Labelled rows, in their order, before all that came by use. Raises ConfigurationError."""
    for number, file in enumerate(files):
        labels = read_labels(file)
        low, scale = labels.low, labels.scale
        pairs = zip(labels.queries, labels.edge.tolist(), labels.cloud.tolist(), strict=True)
        for query, edge, cloud in pairs:
            yield Observation(
                query,
                (edge - low) / scale,
                (cloud - low) / scale,
                "base",
                at=float(number - len(files)),
            )


def read_store(store: str, since: float | None = None) -> "Iterator[Example]":
    """Feedback with its decisions, of what came since then. Raises ConfigurationError."""
    if not store:
        return
    from transformers_hem.feedback.reading import examples

    with open_store(store) as connection:
        yield from examples(connection, since)


def read_decisions(store: str, version: str, since: float) -> dict[str, int]:
    """How many queries were sent to each side since then, by the router whose files have this
    hash. Raises ConfigurationError."""
    from sqlalchemy import func, select

    from transformers_hem.feedback.tables import DECISIONS

    columns = DECISIONS.c
    asked = (
        select(columns.route, func.count())
        .where(columns.version == version, columns.at >= since, columns.score.is_not(None))
        .group_by(columns.route)
    )
    with open_store(store) as connection:
        return {route: count for route, count in connection.execute(asked)}


@contextmanager
def open_store(store: str) -> "Iterator[Connection]":
    """Raises ConfigurationError."""
    from transformers_hem.feedback.place import read_place, require_installed

    place = read_place(store, "--store")
    require_installed(place)
    if place.path is not None and not place.path.is_file():
        raise ConfigurationError(
            f"--store {place.shown} is not there; a HEM server makes it where HEM_FEEDBACK_STORE "
            "names it"
        )
    from transformers_hem.feedback.faults import Unusable
    from transformers_hem.feedback.reading import reading

    try:
        with reading(place) as connection:
            yield connection
    except Unusable as error:
        raise ConfigurationError(f"--store can't be read: {error}") from None


def of_example(example: "Example", *, hidden: bool, own: bool = False) -> Observation | str:
    """Or why it can't be used."""
    decided, said = example.decided, example.feedback
    if own and said.source == "user" and example.own is False:
        return NOT_OWN
    edge, cloud = example.scores
    kind = _KINDS[said.source]
    if edge is None and cloud is None:
        return NO_SIDE
    if kind == "shadow" and (edge is None or cloud is None):
        return NO_SIDE
    query = decided.query or (
        hidden_query(decided.query_hash, decided.features) if hidden else None
    )
    if query is None:
        return NO_TEXT
    both = edge is not None and cloud is not None
    if kind == "shadow":  # a scorer says so, whoever asked
        client, share = "", example.decided.shadow_share
        if not share:
            return NO_CHANCE
    else:  # who compares both sides has seen them, whatever was drawn
        client, share = said.client, 1.0 if both else example.decided.shadow_share
    propensity = Propensity.of_served(example.served, 1.0, share)
    return Observation(query, edge, cloud, kind, propensity, decided.at, client)


def hidden_query(name: str, features: bytes | None) -> str | None:
    """None where nothing was kept of it."""
    if not (name and features):
        return None
    from transformers_hem.feedback.features import unpacked

    return HashedQuery(name, unpacked(features))
