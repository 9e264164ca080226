"""Writes records, each once, in a transaction that holds those of many callers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sqlalchemy import Connection

from transformers_hem.feedback.faults import Conflict
from transformers_hem.feedback.records import Decided, Feedback, key_of
from transformers_hem.feedback.statements import (
    decisions_there,
    keep_decisions,
    keep_feedback,
    requests_known,
    said_before,
)

# new; said before, with this key; or another thing than this client said of this request before.
State = Literal["new", "duplicate", "replaces"]
# Client and source by request, and what they said, as digests.
_Before = dict[tuple[str, str, str], set[str]]


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
    digests, before = _said(connection, units)
    fresh: list[tuple[Feedback, str]] = []
    found: list[list[tuple[Feedback, State]] | Conflict] = []
    for unit in units:
        try:
            found.append(_sorted(unit, digests, before, fresh))
        except Conflict as conflict:
            found.append(conflict)
    pairs = list(zip(units, found, strict=True))
    taken = [unit for unit, each in pairs if not isinstance(each, Conflict)]
    new = _keep_decisions(connection, taken)
    keep_feedback(connection, fresh)
    known = _known(connection, taken)
    return [
        each if isinstance(each, Conflict) else _done(unit, each, new, known)
        for unit, each in pairs
    ]


def _done(
    unit: Unit,
    found: Iterable[tuple[Feedback, State]],
    new: frozenset[str],
    known: frozenset[str],
) -> Done:
    kept = [Kept(each, state, each.request_id in known) for each, state in found]
    return Done(kept, sum(each.key in new for each in unit.decisions))


def _said(connection: Connection, units: Sequence[Unit]) -> tuple[dict[str, str], _Before]:
    """Digests by keys of what is there already, and what was said of these requests."""
    feedback = [each for unit in units for each in unit.feedback]
    digests: dict[str, str] = {}
    before: _Before = {}
    if not feedback:
        return digests, before
    keys = [each.key for each in feedback]
    keys += [_key_beside(each) for unit in units if unit.pushed for each in unit.feedback]
    requests = list({each.request_id for each in feedback if each.source == "user"})
    for key, digest, request, client, source in said_before(connection, keys, requests):
        digests[key] = digest
        before.setdefault((request, client, source), set()).add(digest)
    return digests, before


def _sorted(
    unit: Unit, digests: dict[str, str], before: _Before, fresh: list[tuple[Feedback, str]]
) -> list[tuple[Feedback, State]]:
    """What is new in it joins `fresh`, `digests` and `before`. Raises Conflict, and then nothing
    does."""
    mine: dict[str, str] = {}
    found: list[tuple[Feedback, State]] = []
    new: list[tuple[Feedback, str]] = []
    said: _Before = {}
    for each in unit.feedback:
        digest = each.digest
        there = mine.get(each.key) or digests.get(each.key)
        if unit.pushed and there not in (None, digest):
            each = replace(each, key=_key_beside(each))
            there = mine.get(each.key) or digests.get(each.key)
        if there not in (None, digest):
            raise Conflict(
                f"the key of the feedback for request {each.request_id!r:.140} is another "
                "feedback's, which says something else: give each a key of its own"
            )
        if there:
            found.append((each, "duplicate"))
            continue
        mine[each.key] = digest
        new.append((each, digest))
        by = (each.request_id, each.client, each.source)
        others = (before.get(by, set()) | said.get(by, set())) - {digest}
        said.setdefault(by, set()).add(digest)
        found.append((each, "replaces" if others and each.source == "user" else "new"))
    digests.update(mine)
    fresh += new
    for of, some in said.items():
        before.setdefault(of, set()).update(some)
    return found


def _key_beside(each: Feedback) -> str:
    """Of what another server has taken under a key that says something else here, as where clients
    of two edges name the same one. Both are kept: it was acknowledged there, and all that this edge
    sends later would wait behind it for ever."""
    return key_of(each.origin, f"{each.key}{each.digest}")


def _keep_decisions(connection: Connection, units: Sequence[Unit]) -> frozenset[str]:
    """Keys of those that are new. A server's own come again only where nobody could know whether
    they were written, as where the connection ended with the commit: they stay as they are."""
    pushed = [each.key for unit in units if unit.pushed for each in unit.decisions]
    there = decisions_there(connection, pushed) if pushed else frozenset()
    rows: Mapping[str, Decided] = {
        each.key: each for unit in units for each in unit.decisions if each.key not in there
    }
    keep_decisions(connection, list(rows.values()))
    return frozenset(rows)


def _known(connection: Connection, units: Sequence[Unit]) -> frozenset[str]:
    requests = {each.request_id for unit in units for each in unit.feedback}
    return requests_known(connection, list(requests)) if requests else frozenset()
