"""Which rows a challenger learns from, and on which ones it is compared and calibrated."""

from dataclasses import dataclass

import numpy as np

from predictors.errors import ConfigurationError
from transformers_hem.arrays import Indices
from transformers_hem.lifelong.observations import Observations
from transformers_hem.routers.fingerprints import fingerprint


@dataclass(frozen=True, slots=True)
class Windows:
    """`held_out` are the newest pairs whose both sides somebody saw whom one trusts, without those
    that the champion was trained on; `learned` is all the rest, apart from their queries."""

    learned: Observations
    held_out: Observations


def divide(
    seen: Observations,
    share: float,
    least: int,
    known: frozenset[bytes],
    limit: int | None = None,
    seed: int = 0,
) -> Windows:
    """`share` of the pairs is held out, at least `least`; `known` are fingerprints of the champion's
    queries; `limit` is of the rows to learn from. Raises ConfigurationError where there are too
    few pairs."""
    prints = [fingerprint(query) for query in seen.queries]
    pairs = np.flatnonzero(seen.paired & seen.trusted)
    pairs = pairs[np.argsort(seen.times[pairs], kind="stable")]
    new = np.array([i for i in pairs if prints[i] not in known], dtype=np.int64)
    if len(new) < least:
        raise ConfigurationError(
            f"{len(new)} queries of which both sides were seen, and which the version in force was "
            f"not trained on, are too few to compare on; at least {least} are needed. Shadow "
            "evaluation brings them, and --data"
        )
    held_out = new[-max(least, int(np.ceil(share * len(pairs)))) :]
    names = {prints[i] for i in held_out}
    left = np.array([i for i, name in enumerate(prints) if name not in names], dtype=np.int64)
    return Windows(seen.subset(_drawn(left, seen, limit, seed)), seen.subset(held_out))


def _drawn(rows: Indices, seen: Observations, limit: int | None, seed: int) -> Indices:
    """At most `limit`: half of them the newest, the others drawn by `seed`."""
    if limit is None or len(rows) <= limit:
        return rows
    by_time = rows[np.argsort(seen.times[rows], kind="stable")]
    cut = len(by_time) - limit // 2
    drawn = np.random.default_rng(seed).choice(by_time[:cut], limit - limit // 2, replace=False)
    return np.sort(np.concatenate([drawn, by_time[cut:]]))
