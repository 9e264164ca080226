"""Whether live queries still look like those that the threshold was chosen on."""

import logging
import math
import threading
from bisect import bisect_left
from collections import deque

from transformers_hem.arrays import Floats
from transformers_hem.calibration.config import ScoreSpread

logger = logging.getLogger("kserve.hem")

WINDOW = 1000  # live scores that are compared
LEAST = 200  # fewer show nothing: by chance alone the index is about 9 / number of scores
CHECK_EVERY = 100
# Usual reading: below 0.1 no change, up to 0.2 some, above it another population (Siddiqi, Credit
# Risk Scorecards, 2006).
ALARM = 0.2
RARE = 3.09  # standard deviations: by chance once in a thousand


class ScoreDrift:
    """Population stability index of the last scores against the router's own spread.

    Safe to use from several threads. A score costs about a microsecond; the index is computed when
    it is asked for, and once in a hundred scores to warn, where it `warns`.
    """

    def __init__(self, algorithm: str, expected: ScoreSpread, *, warns: bool = True) -> None:
        self._algorithm = algorithm
        self._warns = warns
        self._expected = expected
        self._edges = list(expected.edges)
        self._counts = [0] * len(expected.shares)
        self._last: deque[int] = deque()
        self._until_check = CHECK_EVERY
        self._alarmed = False
        self._lock = threading.Lock()

    def add(self, scores: Floats) -> None:
        """Float [N]; NaN, no score, doesn't count."""
        bins = [bisect_left(self._edges, score) for score in scores.tolist() if score == score]
        with self._lock:
            for each in bins:
                self._last.append(each)
                self._counts[each] += 1
            while len(self._last) > WINDOW:
                self._counts[self._last.popleft()] -= 1
            self._until_check -= len(bins)
            due = self._until_check <= 0
            if due:
                self._until_check = CHECK_EVERY
        if due and self._warns:
            self._check()

    def index(self) -> float:
        """Sum over bins of (live - expected) ln(live / expected); NaN below 200 scores.

        Shares are (count + 1/2) / (rows + bins/2), so that an empty bin doesn't make it infinite.
        """
        with self._lock:
            counts = list(self._counts)
        rows = sum(counts)
        if rows < LEAST:
            return math.nan
        half = len(counts) / 2
        total = 0.0
        for count, share in zip(counts, self._expected.shares, strict=True):
            live = (count + 0.5) / (rows + half)
            expected = (share * self._expected.rows + 0.5) / (self._expected.rows + half)
            total += (live - expected) * math.log(live / expected)
        return total

    def alarm(self) -> float:
        """0.2, or more where chance alone can bring the index there, as with a calibration of few
        rows: of one population it is nearly chi-square with a degree of freedom less than bins,
        times 1 / rows + 1 / live scores (Yurdakul and Naranjo, J. Risk Model Validation 14, 2020).
        """
        freedom = max(len(self._counts) - 1, 1)
        spread = 2 / (9 * freedom)
        quantile = freedom * (1 - spread + RARE * math.sqrt(spread)) ** 3  # Wilson and Hilferty
        live = max(len(self._last), LEAST)
        return max(ALARM, quantile * (1 / self._expected.rows + 1 / live))

    def _check(self) -> None:
        """Warns when the index goes above the alarm, not again until it has been below."""
        index, alarm = self.index(), self.alarm()
        if index > alarm and not self._alarmed:
            logger.warning(
                "drift algorithm=%s psi=%.3f: the last %d scores are spread unlike those that the "
                "threshold was chosen on; its promise may not hold: calibrate on recent queries",
                self._algorithm,
                index,
                len(self._last),
            )
        self._alarmed = index > alarm
