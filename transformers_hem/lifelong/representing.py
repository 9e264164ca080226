"""How many queries a row that came back stands for: more, where less came back of its side.

Pairs are drawn with a share of each side's own, and users say more of one side than of the other.
Which side served the champion's score has chosen. So without weights most rows would be of one end
of its scores, where it has little to tell apart: a challenger that is as good would look better.
"""

import numpy as np

from transformers_hem.arrays import Floats, Indices
from transformers_hem.lifelong.observations import Observations


def represented(seen: Observations, judging: Indices) -> Floats:
    """[n]: the weights of the rows that judge, times a factor by which each side counts as often as
    it served. Both sides' rows together weigh what they did before; others, as base rows, are as
    they were.

    A side has served as often as the inverse chances of all its pairs say (Horvitz and Thompson
    1952), since the first row that judges: also of pairs that don't judge, as the champion has
    learned from them. Where a side has none nobody knows, and nothing changes. Few rows that stand
    for many are no more than few, by Kish's number in `contest.py`.
    """
    weights, sides = seen.weights[judging], seen.sides[judging]
    since = seen.times[judging].min(initial=np.inf)
    pairs = seen.paired & seen.trusted & (seen.propensities[:, 2] > 0) & (seen.times >= since)
    came_back, served = np.zeros(2), np.zeros(2)
    for side in range(2):
        drawn = pairs & (seen.sides == side)
        served[side] = (seen.weights[drawn] / seen.propensities[drawn, 2]).sum()
        came_back[side] = weights[sides == side].sum()
    if not (served.all() and came_back.all()):
        return weights
    factors = served / came_back * (came_back.sum() / served.sum())
    return np.asarray(weights * np.append(factors, 1.0)[sides])
