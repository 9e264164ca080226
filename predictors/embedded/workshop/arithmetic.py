"""Sums and differences, of more digits in the shorter operand, then in the longer.

Differences never fall below zero.
"""

from __future__ import annotations

from random import Random

from predictors.embedded.workshop.draft import Draft, Level

_WORDINGS = ("What is {}?", "Compute {}.", "{} = ?", "How much is {}?", "Calculate {}.")


def _draft(rng: Random, first: int, second: int) -> Draft:
    if rng.random() < 0.5:
        first, second = (second, first) if rng.random() < 0.5 else (first, second)
        sign, value = "+", first + second
    else:
        first, second = max(first, second), min(first, second)
        sign, value = "-", first - second
    text = f"{first} {sign} {second}"
    return Draft(f"arithmetic {text}", tuple(w.format(text) for w in _WORDINGS), str(value))


def _of_digits(first: int, second: int) -> Level:
    """Operands of exactly that many digits, in either order for a sum."""

    def level(rng: Random) -> Draft:
        return _draft(rng, _number(rng, first), _number(rng, second))

    return level


def _up_to_two_digits(rng: Random) -> Draft:
    return _draft(rng, rng.randint(1, 99), rng.randint(1, 9))


def _number(rng: Random, digits: int) -> int:
    return rng.randint(10 ** (digits - 1), 10**digits - 1)


LEVELS: dict[int, Level] = {
    1: _up_to_two_digits,
    2: _of_digits(3, 1),
    3: _of_digits(2, 2),
    4: _of_digits(3, 2),
    5: _of_digits(3, 3),
}
