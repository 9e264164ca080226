"""Which decided queries a threshold is chosen on, where their scores are all that it takes.

What a router has learned from scores elsewhere than new queries do, so what is drawn is held out of
training. Equal queries are drawn together, by a hash: all of their decisions, or none.

A query that is asked again and again, so that a plain sample would have it more than once, is
another matter. Together its decisions are too much of the traffic to be drawn by one lot; and
whatever a router has learned of it, its score is the one that all get who ask it again. So it is
learned from, and its decisions are drawn one by one. What was asked often in a short time, as by
somebody who tried again, says no more than one query does.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from transformers_hem.arrays import Flags, Indices

MOST: Final = 1000  # rows, unless a promise takes more: an edge share is known to 2.6 points then
PART: Final = 0.1  # of the decisions, where so many are enough for a promise
LARGEST: Final = 0.5  # of them, where they are few
SPARE: Final = 1.25  # times what a promise takes, as chance may draw fewer
PARTS: Final = 4  # of the decisions, in their order:
AGAIN: Final = 3  # what is in so many of them, and in so many hours, is asked again and again

Names = NDArray[np.uint64]  # of queries, equal where they are


@dataclass(frozen=True, slots=True)
class Draw:
    """n of N decisions. `rows` [n]: their places, ascending; `often` [n]: whose query is asked
    again and again, so that it is not held out. `alike`: how many rows say as much as one of a
    query of its own, as equal ones are drawn together."""

    rows: Indices
    often: Flags
    alike: float


def name_of(query_hash: str) -> int:
    """By which it is drawn."""
    digest = hashlib.blake2b(query_hash.encode(), digest_size=8, person=b"decided").digest()
    return int.from_bytes(digest, "big")


def share_of(decisions: int, needed: float) -> float:
    """Of the decisions that are drawn; `needed` rows are what a promise takes."""
    wanted = max(min(MOST, PART * decisions), SPARE * needed)
    return min(wanted / max(decisions, 1), LARGEST)


def draw(names: Names, needed: int, hours: Indices | None = None) -> Draw:
    """Of the decisions' queries [N], in the order in which they came: the same ones whenever it is
    asked. `hours` [N]: when, counted from any time; None: one can't say, and all may be of any."""
    asked, recurs = _asked(names)
    if hours is not None:
        recurs[recurs] = _in_hours(names[recurs], hours[recurs]) >= AGAIN
    share, alike = share_of(len(names), needed), 1.0
    if len(names):
        alike = float(np.where(recurs & (asked * share > 1), 1, asked).mean())
        share = share_of(len(names), needed * alike)
    often = recurs & (asked * share > 1)
    by_query = names / 2.0**64 < share
    seed = int(np.bitwise_xor.reduce(names))  # of these decisions, and nobody's choice
    by_decision = np.random.default_rng(seed).random(len(names)) < share
    rows = np.flatnonzero(np.where(often, by_decision, by_query))
    return Draw(rows, often[rows], alike)


def _asked(names: Names) -> tuple[Indices, Flags]:
    """[N]: how often each decision's query was asked, and whether it was again and again."""
    _, place, counts = np.unique(names, return_inverse=True, return_counts=True)
    there = np.zeros((len(counts), PARTS), dtype=bool)
    there[place, np.arange(len(names)) * PARTS // max(len(names), 1)] = True
    return counts[place], (there.sum(axis=1) >= AGAIN)[place]


def _in_hours(names: Names, hours: Indices) -> Indices:
    """[n]: in how many different hours each one's query was asked: somebody who sends the same few
    queries for a while may fill all four parts."""
    _, place = np.unique(names, return_inverse=True)
    pairs = np.unique(np.stack([place, hours]), axis=1)
    return np.asarray(np.bincount(pairs[0])[place])


def effective_rows(names: Names, often: Flags) -> float:
    """As many independent rows say as much as these [n] (Kish 1965), of which equal queries were
    drawn together, but for those that are asked often."""
    asked = np.unique(names[~often], return_counts=True)[1].astype(float)
    weights = float((asked**2).sum()) + int(often.sum())
    return len(names) ** 2 / weights if weights else 0.0
