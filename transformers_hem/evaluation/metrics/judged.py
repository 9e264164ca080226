"""What every metric of a router is computed from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """Scores of a router, float [N] in [0, 1], beside how both models did, float [N].

    `hard` is the truth that a router looks for: [N], the cloud does better than the edge.
    """

    scores: Floats
    threshold: float
    edge: Floats
    cloud: Floats
    hard: Flags

    @property
    def called_hard(self) -> Flags:
        """What the router sends to the cloud at its threshold."""
        return self.scores > self.threshold
