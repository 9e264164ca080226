"""A cost model of a verify step, fitted to measured ones, and what it says of served tokens."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from predictors.contract.speculation import PassCost


class Step(NamedTuple):
    rows: int
    tokens: int  # of each row
    seconds: float


class Fit(NamedTuple):
    """`median` and `largest`: how far it is from the measured steps, as shares of these."""

    cost: PassCost
    median: float
    largest: float


def fitted(steps: Sequence[Step]) -> Fit:
    """By non-negative least squares of relative errors, so that short steps count as long ones."""
    measured = np.array([step.seconds for step in steps])
    terms = np.array([(1, step.rows, step.rows * step.tokens) for step in steps], dtype=float)
    (fixed, row, token), _ = nnls(terms / measured[:, None], np.ones(len(steps)))
    cost = PassCost(fixed=fixed, row=row, token=token)
    errors = np.abs(terms @ (fixed, row, token) / measured - 1)
    return Fit(cost, float(np.median(errors)), float(errors.max()))


def tokens_a_round(acceptance: float, drafted: int) -> float:
    """Leviathan et al., arXiv 2211.17192, equation 1."""
    return float((1 - acceptance ** (drafted + 1)) / (1 - acceptance))


def served(
    cost: PassCost, rows: int, drafted: int, acceptance: float, prompt: int, answer: int
) -> float:
    """Tokens a second of a model that does nothing but check such rounds, and computes a prompt for
    each answer; with nothing drafted that is plain decoding."""
    tokens = tokens_a_round(acceptance, drafted) if drafted else 1.0
    passes = answer / tokens
    each = cost.seconds(rows, rows * (drafted + 1)) / rows
    return answer / (passes * each + prompt * cost.token)
