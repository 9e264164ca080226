"""Unit conversion: powers of ten, decimals, then units of 7, 12, 24 and 60 in two parts."""

from __future__ import annotations

from decimal import Decimal
from random import Random

from predictors.embedded.workshop.draft import Draft, Level

_WORDINGS = ("Convert {} to {}.", "What is {} in {}?", "How many {1} are {0}?", "{} in {} = ?")

# large unit, small unit, digits by which the decimal point moves
_POWERS = (
    ("km", "m", 3),
    ("kg", "g", 3),
    ("l", "ml", 3),
    ("m", "mm", 3),
    ("m", "cm", 2),
    ("cm", "mm", 1),
)
# large unit, small unit, how many small ones make a large one
_PARTS = (
    ("h", "min", 60),
    ("min", "s", 60),
    ("days", "h", 24),
    ("weeks", "days", 7),
    ("feet", "inches", 12),
    ("years", "months", 12),
)


def _draft(amount: str, unit: str, answer: str) -> Draft:
    wordings = tuple(w.format(amount, unit) for w in _WORDINGS)
    return Draft(f"conversion {amount} to {unit}", wordings, answer)


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")


def _to_small(rng: Random) -> Draft:
    large, small, shift = rng.choice(_POWERS)
    number = rng.randint(1, 999)
    return _draft(f"{number} {large}", small, str(number * 10**shift))


def _to_large(rng: Random) -> Draft:
    large, small, shift = rng.choice(_POWERS)
    number = rng.randint(1, 9999)
    return _draft(f"{number} {small}", large, _plain(Decimal(number).scaleb(-shift)))


def _decimal_to_small(rng: Random) -> Draft:
    large, small, shift = rng.choice(_POWERS)
    number = Decimal(rng.randint(1, 9999)).scaleb(-rng.randint(1, 3))
    return _draft(f"{_plain(number)} {large}", small, _plain(number.scaleb(shift)))


def _two_parts(least: int, most: int) -> Level:
    """Between `least` and `most` large units and some small ones, all in small units."""

    def level(rng: Random) -> Draft:
        large, small, size = rng.choice(_PARTS)
        number, rest = rng.randint(least, most), rng.randrange(size)
        amount = f"{number} {large} {rest} {small}" if rest else f"{number} {large}"
        return _draft(amount, small, str(number * size + rest))

    return level


LEVELS: dict[int, Level] = {
    1: _to_small,
    2: _to_large,
    3: _decimal_to_small,
    4: _two_parts(2, 9),
    5: _two_parts(10, 24),
}
