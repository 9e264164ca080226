"""A router's scores of queries, each asked of it once: an encoder takes long, and the same queries
are scored for the contest, for curves, for drift and for a threshold."""

from collections.abc import Sequence

import numpy as np

from transformers_hem.algorithms.base import SCORED_CHARACTERS, Algorithm, Batch, bounded
from transformers_hem.algorithms.row_fields import BATCH_ROWS
from transformers_hem.arrays import Floats
from transformers_hem.routers.base import TrainedRouter


class Scorer:
    """Of a router that mines queries, which are scored as if they were served one by one."""

    def __init__(self, router: Algorithm) -> None:
        self.router = router
        self._known: dict[str, float] = {}

    def raw(self, queries: Sequence[str]) -> Floats:
        """[N], on the scale of scores out of fold, which no map has made probabilities yet. NaN
        where there is none."""
        known = self._known
        new = [query for query in dict.fromkeys(queries) if query not in known]
        for start in range(0, len(new), BATCH_ROWS):
            some = new[start : start + BATCH_ROWS]
            batch = bounded(Batch(len(some), texts=tuple(some)), SCORED_CHARACTERS)
            known.update(zip(some, self._ask(batch).tolist(), strict=True))
        return np.array([known[query] for query in queries], dtype=float)

    def scores(self, queries: Sequence[str]) -> Floats:
        """[N], NaN where there is none."""
        raw, calibrated = self.raw(queries), self.router.calibrated
        if calibrated is None or not isinstance(self.router, TrainedRouter):
            return raw
        return np.asarray(calibrated.difficulty(raw))

    def _ask(self, batch: Batch) -> Floats:
        router = self.router
        return router.raw(batch) if isinstance(router, TrainedRouter) else router.score(batch)
