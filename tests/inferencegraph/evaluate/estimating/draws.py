"""Many estimates on recorded correctness: is what they promise true of the rows that they are
promises about, and how many labels do they take?"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import orjson
from numpy.typing import NDArray
from scipy.stats import binom

from inferencegraph.evaluate.estimating.aim import Aim
from inferencegraph.evaluate.estimating.findings import share_interval
from inferencegraph.evaluate.estimating.walk import LossWalk, ShareWalk, make_walk
from tests.inferencegraph.evaluate.estimating.records import Floats, Records
from transformers_hem.algorithms.row_fields import score_rows
from transformers_hem.routers.scoring import open_router
from transformers_hem.routers.training import train

TRAINING_ROWS = 400


class Routed(NamedTuple):
    """A router's `scores` of all records, and the `rest` that it was not trained on."""

    scores: Floats
    rest: NDArray[np.int64]


@dataclass(frozen=True)
class Drawn:
    """`broken`: more was lost than promised. `share_missed`: the share at the edge of all rows is
    not in its interval. `labels` of `logged` rows, those for training among both."""

    broken: bool
    share_missed: bool
    kept: float
    loss: float
    labels: int
    logged: int


def most(draws: int, confidence: float) -> int:
    """What promises of that confidence may break in so many draws, 19 times out of 20."""
    return int(binom.ppf(0.95, draws, 1 - confidence))


def trained(records: Records, folder: Path, seed: int) -> Routed:
    order = np.random.default_rng(seed).permutation(len(records.queries))
    rows = [
        {
            "query": records.queries[index],
            "edge_correct": bool(records.edge[index]),
            "cloud_correct": bool(records.cloud[index]),
        }
        for index in order[:TRAINING_ROWS]
    ]
    data, out = folder / f"{seed}.jsonl", folder / f"router-{seed}"
    data.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    train(data, "LinearRouter", out, seed=seed)
    queries = [{"query": query} for query in records.queries]
    return Routed(score_rows(open_router(str(out)), queries), order[TRAINING_ROWS:])


def walked(records: Records, routed: Routed, aim: Aim, logged: int, seed: int) -> Drawn:
    """One estimate from a log of `logged` rows, the training rows among them. What it says of
    traffic is compared with all records that the router was not trained on."""
    rng = np.random.default_rng([seed, logged])
    pool = rng.permutation(routed.rest)[: logged - TRAINING_ROWS]
    walk = make_walk(routed.scores[pool], aim, TRAINING_ROWS)
    while not walk.finished:
        walk.take(records.losses[pool[walk.next_batch()]])
    meant = pool if aim.about == "log" else routed.rest
    threshold = -1.0 if walk.threshold is None else walk.threshold
    easy = routed.scores[meant] <= threshold
    loss, share = float((records.losses[meant] * easy).mean()), float(easy.mean())
    low, high = share_interval(walk.share(threshold), len(pool), aim)
    return Drawn(
        broken=_broken(walk, loss, aim),
        share_missed=not low - 1e-9 <= share <= high + 1e-9,
        kept=share,
        loss=loss,
        labels=TRAINING_ROWS + walk.labels,
        logged=logged,
    )


def _broken(walk: LossWalk | ShareWalk, loss: float, aim: Aim) -> bool:
    if isinstance(walk, ShareWalk):
        return not walk.loss.low <= loss <= walk.loss.high
    assert aim.max_quality_loss is not None
    return loss > aim.max_quality_loss
