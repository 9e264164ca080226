"""A cost model of a verify step, fitted to measured ones, and what it says of tokens a second."""

from typing import NamedTuple


class Step(NamedTuple):
    rows: int
    tokens: int  # of each row
    seconds: float
