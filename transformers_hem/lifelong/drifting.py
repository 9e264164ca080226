"""Whether the queries of today are spread unlike those that a champion's threshold was chosen on:
then its promise is void, whoever wins a contest, and the threshold is to be chosen anew."""

import math
from dataclasses import dataclass

from transformers_hem.arrays import Floats
from transformers_hem.calibration.config import ScoreSpread
from transformers_hem.calibration.drift import WINDOW, ScoreDrift


@dataclass(frozen=True, slots=True)
class Drift:
    """The population stability index of the newest scores, NaN where they are too few to say, and
    from where on it alarms."""

    index: float
    alarm: float

    @property
    def drifted(self) -> bool:
        return not math.isnan(self.index) and self.index > self.alarm


def drift(algorithm: str, expected: ScoreSpread, scores: Floats) -> Drift:
    """`scores` [N], in the order in which they came; the last WINDOW of them count."""
    watched = ScoreDrift(algorithm, expected, warns=False)  # who retrains acts on it, and says so
    watched.add(scores[-WINDOW:])
    return Drift(watched.index(), watched.alarm())
