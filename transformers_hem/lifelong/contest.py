"""Champion against challenger on rows that neither has learned from: who orders queries better, and
what each has to pay for the same quality.

Both are compared on the same rows, and resampled together (paired bootstrap, Efron 1979; Koehn
2004 for systems): what is hard for both doesn't count as a difference. A row's outcomes may be the
doubly robust estimates of `outcomes.py`: what is compared adds them up.

A row counts by its weight, as in training: in what quality is the mean of, and in the share of
queries that go to the cloud. So a row of a client that is half believed says half as much of how
queries do, and of which queries there are. The bootstrap draws rows, and each keeps its weight:
where few rows have most of the weight, intervals are as wide as those few allow.

Rows that different folds of a challenger scored are not compared with each other: each fold's
scores lie somewhat elsewhere, and against what its own rows show, as it has learned from all
others. Curves of them all, taken as one ranking, tell too little of a router (as the area under a
ROC curve does then: Parker, Guenther and Bedo 2007; Airola et al. 2011). So each fold's rows are
ranked by themselves, by the champion, too.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from transformers_hem.arrays import Floats, Indices

RESAMPLES: Final = 1000
SIGNIFICANCE: Final = 0.1  # on one side; the confidence is that of `hem calibrate`, 0.9
LEAST_ROWS: Final = 100
LEAST_PAIRS: Final = 20  # rows of which both sides were seen; without them all is guessed


class Difference(NamedTuple):
    """Challenger minus champion, and the ends of its interval, each with the same error."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """`apgr` is over all cuts, see `gap_recovered`; `cost`: the share of queries that go to the
    cloud for the quality that the champion serves. None where nothing could be compared; `enough`:
    there were rows enough for it."""

    promote: bool
    reason: str
    rows: int
    pairs: int
    apgr: Difference | None = None
    cost: Difference | None = None
    enough: bool = True


@dataclass(frozen=True, slots=True)
class Judged:
    """N held-out rows. `champion` and `challenger` [N]: their scores; `threshold`: the one that the
    champion serves; `outcomes` [N, 2] of edge and cloud; `pairs`: how many were seen on both;
    `weights` [N], above 0: how much each row counts, None: all alike; `models` [N]: which of the
    challenger's folds scored a row, None: one model all."""

    champion: Floats
    challenger: Floats
    threshold: float
    outcomes: Floats
    pairs: int
    weights: Floats | None = None
    models: Indices | None = None

    @property
    def counted(self) -> Floats:
        return np.ones(len(self.outcomes)) if self.weights is None else self.weights

    @property
    def effective_rows(self) -> float:
        """As many rows that count alike say as much (Kish 1965): never more than there are."""
        total = self.counted.sum()
        return float(total**2 / (self.counted**2).sum()) if total else 0.0

    def ranked(self, scores: Floats) -> Floats:
        """Each row's place, in (0, 1), among the rows that the same model scored."""
        if self.models is None:
            return scores
        places = np.zeros(len(scores))
        for model in np.unique(self.models):
            rows = self.models == model
            values, at = np.unique(scores[rows], return_inverse=True)
            counted = np.bincount(at, self.counted[rows], len(values))
            middle = np.cumsum(counted) - counted / 2
            places[rows] = middle[at] / counted.sum()
        return places


def contest(
    judged: Judged,
    seed: int = 0,
    resamples: int = RESAMPLES,
    significance: float = SIGNIFICANCE,
) -> Verdict:
    """The challenger is promoted where it is proven better, and not where the two are tied.
    `significance`: how likely one that is as good may be promoted by chance."""
    rows, pairs = len(judged.champion), judged.pairs
    if few := _too_few(judged):
        return Verdict(False, few, rows, pairs, enough=False)
    edge, cloud = judged.outcomes.T
    weights = judged.counted
    gap = float(weights @ (cloud - edge) / weights.sum())
    if gap <= 0:
        return Verdict(False, "the cloud is no better than the edge on these rows", rows, pairs)
    draws = np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), resamples)
    counts = np.concatenate([np.ones((1, rows)), draws]) * weights
    champion, challenger = (
        _Curves.of(judged.ranked(scores), edge, cloud, counts)
        for scores in (judged.champion, judged.challenger)
    )
    served = np.where(judged.champion > judged.threshold, cloud, edge)
    wanted = counts @ served / counts.sum(axis=1)
    apgr = _difference((challenger.area - champion.area) / gap, significance)
    cost = _difference(challenger.cheapest(wanted) - champion.cheapest(wanted), significance)
    return Verdict(*_decision(apgr, cost), rows, pairs, apgr, cost)


def _too_few(judged: Judged) -> str:
    """Empty where they are enough."""
    rows, effective = len(judged.champion), judged.effective_rows
    if effective > LEAST_ROWS - 1e-6 and judged.pairs >= LEAST_PAIRS:
        return ""
    alike = "" if effective > rows - 0.5 else f" that count as {effective:.0f}"
    return (
        f"{rows} held-out rows{alike}, {judged.pairs} of them on both sides, decide nothing; "
        f"{LEAST_ROWS} and {LEAST_PAIRS} are needed"
    )


def _decision(apgr: Difference, cost: Difference) -> tuple[bool, str]:
    if apgr.high < 0:
        return False, "the challenger orders queries worse"
    if apgr.low <= 0:
        return False, "a tie: the challenger isn't shown to order queries better"
    if cost.low > 0:
        return False, "the challenger pays more for the quality that is served"
    return True, "the challenger orders queries better"


def _difference(values: Floats, error: float) -> Difference:
    """Of the rows themselves, first, and of their resamples."""
    low, high = np.quantile(values[1:], [error, 1 - error])
    return Difference(float(values[0]), float(low), float(high))


@dataclass(frozen=True, slots=True)
class _Curves:
    """One router's quality over its cuts, in each of R resamples of the rows.

    `at_edge` and `quality` [R, N + 1]: the share of queries left at the edge by each cut, and what
    it gives; `area` [R]: the mean quality over all shares.
    """

    at_edge: Floats
    quality: Floats
    area: Floats

    @classmethod
    def of(cls, scores: Floats, edge: Floats, cloud: Floats, counts: Floats) -> "_Curves":
        """`counts` [R, N]: how often a row was drawn, times its weight."""
        order = np.argsort(scores, kind="stable")
        drawn, gains = counts[:, order], (edge - cloud)[order]
        rows = counts.sum(axis=1, keepdims=True)
        start = np.zeros((len(counts), 1))
        won = np.concatenate([start, np.cumsum(drawn * gains, axis=1)], axis=1)
        at_edge = np.concatenate([start, np.cumsum(drawn, axis=1)], axis=1) / rows
        quality = ((counts @ cloud)[:, None] + won) / rows
        return cls(at_edge, quality, np.trapezoid(quality, at_edge, axis=1))

    def cheapest(self, wanted: Floats) -> Floats:
        """[R]: the smallest share at the cloud with a quality of at least `wanted` [R]."""
        good = self.quality >= wanted[:, None] - 1e-12
        good[:, 0] = True  # all at the cloud: there is no more to have
        last = good.shape[1] - 1 - np.argmax(good[:, ::-1], axis=1)
        return np.asarray(1 - self.at_edge[np.arange(len(last)), last])
