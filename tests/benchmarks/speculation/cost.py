"""A cost model of a verify step, fitted to measured ones, and what it says of tokens a second."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from scipy.optimize import nnls


class Step(NamedTuple):
    rows: int
    tokens: int  # of each row
    seconds: float
