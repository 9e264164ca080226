"""By how much a client disagrees with all others.

What others say of a client's queries is the expectation of regressions that saw nothing of that
client (`others.py`). Each report is one number in [0, 1]: how the edge did, how the cloud did, or
of who compares both (1 + cloud - edge) / 2, as a preference has another level than a verdict. Some
sums over the reports would be near 0 if the client were honest: outcome minus expectation of each
of these kinds, which grow for who always calls a side good or bad; and of all reports the same
times 1 - 2 * expectation, which grows for who says the opposite or draws lots.

How unlikely a sum is says Chernoff's bound: of outcomes in [0, 1] none is likelier to be far from
its mean than yes or no is (Hoeffding 1963). It is told as the standard deviations that are as
unlikely for a normal variable. Beside chance there is what the regressions don't know of these
queries, and `SLACK`, as people differ; both are taken to be normal.
"""

from typing import Final

import numpy as np

from transformers_hem.arrays import Flags, Floats, Indices
from transformers_hem.lifelong.others import Opinions, Side

SLACK: Final = 0.05  # of an outcome, a client's own standard
TILTS: Final = np.geomspace(0.25, 4.0, 9)  # times the normal's, of which the best one bounds
_MOST_EXPONENT: Final = 50.0
_SIDES: Final = np.array([-0.5, 0.5])  # of edge and cloud in a comparison


def disagreement(opinions: Opinions, sides: list[Side], rows: Indices, within: Flags) -> Floats:
    """[parts]: standard deviations by which one speaker's `rows` disagree with all others, in each
    part `within` [parts, n] of them; the largest of five."""
    shown = opinions.shown[rows]
    guess = np.zeros(shown.shape)
    unsure = []
    for side, each in enumerate(sides):
        guess[shown[:, side], side], doubts = each.without(rows[shown[:, side]])
        unsure.append(doubts)
    both = np.asarray(shown.all(axis=1))
    kinds = np.stack([*(shown & ~both[:, None]).T, both]).astype(float)
    parts = np.where(both[:, None], _SIDES, shown)  # of each side in a report
    outcomes = np.where(shown, opinions.outcomes[rows], 0.0)
    said, expected = ((parts * each).sum(axis=1) + both / 2 for each in (outcomes, guess))
    along = _directions(kinds[None] * within[:, None], 1 - 2 * expected).reshape(-1, len(rows))
    sums = along @ (said - expected)
    ways = len(along) // len(within)
    signs = np.where(np.arange(len(along)) % ways < len(kinds), np.sign(sums), 1.0)
    doubt = (SLACK * np.abs(along).sum(axis=1)) ** 2
    for side in range(2):
        doubt += unsure[side]((along * parts[:, side])[:, shown[:, side]])
    found = deviations(sums * signs, along * signs[:, None], expected, doubt)
    return np.asarray(found.reshape(len(within), ways).max(axis=1))


def _directions(kinds: Floats, contrary: Floats) -> Floats:
    """[parts, 5, n], of the rows of each kind in a part [parts, 3, n]: each kind; how contrary all
    are; and the same where each kind may have a level of its own."""
    counts = np.maximum(kinds.sum(axis=2, keepdims=True), 1.0)
    means = (kinds * contrary).sum(axis=2, keepdims=True) / counts
    plain = kinds.sum(axis=1, keepdims=True) * contrary
    levelled = plain - (kinds * means).sum(axis=1, keepdims=True)
    return np.concatenate([kinds, plain, levelled], axis=1)


def deviations(sums: Floats, along: Floats, expected: Floats, doubt: Floats) -> Floats:
    """[k]: how far `sums` [k] of `along` [k, n] times outcome minus `expected` [n] are above 0;
    `doubt` [k] is the variance of what is not chance. 0 below 0."""
    sums = np.maximum(sums, 0.0)
    variance = along**2 @ (expected * (1 - expected)) + doubt
    most = _MOST_EXPONENT / np.maximum(np.abs(along).max(axis=1), 1e-12)
    best = np.zeros(len(sums))
    for tilt in TILTS:
        by = np.minimum(tilt * sums / np.maximum(variance, 1e-12), most)
        tilted = by[:, None] * along
        chance = np.log1p(expected * np.expm1(tilted)) - tilted * expected
        best = np.maximum(best, by * sums - chance.sum(axis=1) - by**2 * doubt / 2)
    return np.sqrt(2 * best)
