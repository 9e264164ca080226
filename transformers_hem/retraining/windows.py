"""Which rows a challenger learns from, and on which ones it is compared and calibrated."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from predictors.errors import ConfigurationError
from transformers_hem.arrays import Indices
from transformers_hem.lifelong.challenge import Round, prepared
from transformers_hem.lifelong.observations import Observations
from transformers_hem.lifelong.recalibration import plain_sample
from transformers_hem.lifelong.windows import windows
from transformers_hem.routers.fingerprints import fingerprint

LEAST_USED: Final = 400  # rows that came back from use; with fewer, base rows are held out, too


@dataclass(frozen=True, slots=True)
class Divided:
    """`held_out` are of the newest rows, without queries that the champion has learned; `learned`
    is all else. `pairs` of the held-out rows, in the order of time, are a plain sample of the
    traffic of which both sides were seen."""

    learned: Observations
    held_out: Observations
    pairs: Observations


def divide(
    seen: Observations,
    base: int,
    newest: float,
    least: int,
    known: frozenset[bytes],
    limit: int | None = None,
    seed: int = 0,
) -> Divided:
    """The first `base` rows are base data, in their order. Of the `newest` share of what came back
    from use a part is held out; `known` are fingerprints of the champion's queries; `limit` is of
    the rows to learn from. Raises ConfigurationError where less than `least` are left to compare
    on."""
    used = np.arange(base, len(seen))
    seen = prepared(seen, used, Round(seed=seed))
    if len(used) < LEAST_USED:
        used = np.arange(len(seen))
    parts = windows(seen, used, newest)
    prints = (fingerprint(seen.queries[i]) for i in parts.held_out)
    new = np.array([print not in known for print in prints], dtype=bool)
    held_out = seen.subset(parts.held_out[new])
    if len(held_out) < least:
        raise ConfigurationError(
            f"{len(held_out)} held-out rows that the version in force was not trained on are too "
            f"few to compare on; at least {least} are needed, drawn of the newest {newest:.0%}"
        )
    learned = seen.subset(_drawn(parts.train, seen, limit, seed))
    return Divided(learned, held_out, held_out.subset(plain_sample(held_out)))


def _drawn(rows: Indices, seen: Observations, limit: int | None, seed: int) -> Indices:
    """At most `limit`: half of them the newest, the others drawn by `seed`."""
    if limit is None or len(rows) <= limit:
        return rows
    by_time = rows[np.argsort(seen.times[rows], kind="stable")]
    cut = len(by_time) - limit // 2
    drawn = np.random.default_rng(seed).choice(by_time[:cut], limit - limit // 2, replace=False)
    return np.sort(np.concatenate([drawn, by_time[cut:]]))
