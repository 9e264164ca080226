"""The three families with short answers: arithmetic, unit conversion, operations on made-up words.

A level draws one question with a random generator; what the five levels of a family are is in
README.md beside the models.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from random import Random


@dataclass(frozen=True, slots=True)
class Draft:
    """One question before a wording and a side of the split are chosen. `key` names the operation
    and its operands, the same for every wording of the question."""

    key: str
    wordings: tuple[str, ...]
    answer: str


Level = Callable[[Random], Draft]

# Arithmetic: more digits in the shorter operand, then in the longer. Differences are never below 0.
_CALCULATIONS = ("What is {}?", "Compute {}.", "{} = ?", "How much is {}?", "Calculate {}.")


def _calculation(rng: Random, first: int, second: int) -> Draft:
    if rng.random() < 0.5:
        first, second = (second, first) if rng.random() < 0.5 else (first, second)
        sign, value = "+", first + second
    else:
        first, second = max(first, second), min(first, second)
        sign, value = "-", first - second
    text = f"{first} {sign} {second}"
    return Draft(f"arithmetic {text}", tuple(w.format(text) for w in _CALCULATIONS), str(value))


def _of_digits(first: int, second: int) -> Level:
    """Operands of exactly that many digits, in either order for a sum."""
    ranges = [(10 ** (digits - 1), 10**digits - 1) for digits in (first, second)]
    return lambda rng: _calculation(rng, *(rng.randint(*each) for each in ranges))


# Conversion: powers of ten, decimals, then units of 7, 12, 24 and 60 in two parts.
_CONVERSIONS = ("Convert {} to {}.", "What is {} in {}?", "How many {1} are {0}?", "{} in {} = ?")
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


def _conversion(amount: str, unit: str, answer: str) -> Draft:
    wordings = tuple(w.format(amount, unit) for w in _CONVERSIONS)
    return Draft(f"conversion {amount} to {unit}", wordings, answer)


def _plain(value: Decimal) -> str:
    return format(value.normalize(), "f")


def _to_small(rng: Random) -> Draft:
    large, small, shift = rng.choice(_POWERS)
    number = rng.randint(1, 999)
    return _conversion(f"{number} {large}", small, str(number * 10**shift))


def _to_large(rng: Random) -> Draft:
    large, small, shift = rng.choice(_POWERS)
    number = rng.randint(1, 9999)
    return _conversion(f"{number} {small}", large, _plain(Decimal(number).scaleb(-shift)))


def _decimal_to_small(rng: Random) -> Draft:
    large, small, shift = rng.choice(_POWERS)
    number = Decimal(rng.randint(1, 9999)).scaleb(-rng.randint(1, 3))
    return _conversion(f"{_plain(number)} {large}", small, _plain(number.scaleb(shift)))


def _two_parts(least: int, most: int) -> Level:
    """Between `least` and `most` large units and some small ones, all in small units."""

    def level(rng: Random) -> Draft:
        large, small, size = rng.choice(_PARTS)
        number, rest = rng.randint(least, most), rng.randrange(size)
        amount = f"{number} {large} {rest} {small}" if rest else f"{number} {large}"
        return _conversion(amount, small, str(number * size + rest))

    return level


# Words: pick a letter, count, cut, turn round; the words grow.
_VOWELS = "AEIOU"
_CONSONANTS = "BCDFGHJKLMNPQRSTVWXYZ"

Operation = tuple[str, tuple[str, ...], Callable[[str], str]]

_FIRST: Operation = (
    "first",
    ("What is the first letter of {}?", "Which letter does {} start with?"),
    lambda word: word[0],
)
_LAST: Operation = (
    "last",
    ("What is the last letter of {}?", "Which letter does {} end with?"),
    lambda word: word[-1],
)
_COPY: Operation = ("copy", ("Repeat the word {}.", "Copy {}."), lambda word: word)
_COUNT: Operation = (
    "count",
    ("How many letters are in {}?", "Count the letters of {}."),
    lambda word: str(len(word)),
)
_BEHEAD: Operation = (
    "behead",
    ("Write {} without its first letter.", "Remove the first letter of {}."),
    lambda word: word[1:],
)
_REVERSE: Operation = (
    "reverse",
    ("Reverse the word {}.", "Spell {} backwards.", "What is {} backwards?"),
    lambda word: word[::-1],
)
_NO_VOWELS: Operation = (
    "vowels",
    ("Write {} without its vowels.", "Remove the vowels of {}."),
    lambda word: "".join(letter for letter in word if letter not in _VOWELS),
)


def made_up_word(rng: Random, length: int) -> str:
    """Letters that mostly alternate between consonant and vowel, so that it can be spoken.

    Never vowels alone: an operation must leave something.
    """
    vowel = rng.random() < 0.3
    letters = []
    for _ in range(length):
        letters.append(rng.choice(_VOWELS if vowel else _CONSONANTS))
        vowel = not vowel if rng.random() < 0.8 else vowel
    if set(letters) <= set(_VOWELS):
        letters[-1] = rng.choice(_CONSONANTS)
    return "".join(letters)


def _words(operations: tuple[Operation, ...], least: int, most: int) -> Level:
    """Any of the operations, on a word of `least` to `most` letters."""

    def level(rng: Random) -> Draft:
        name, wordings, operate = rng.choice(operations)
        word = made_up_word(rng, rng.randint(least, most))
        return Draft(
            f"strings {name} {word}", tuple(w.format(word) for w in wordings), operate(word)
        )

    return level


def _either(first: Level, second: Level) -> Level:
    return lambda rng: rng.choice((first, second))(rng)


FAMILIES: dict[str, dict[int, Level]] = {
    "arithmetic": {
        1: lambda rng: _calculation(rng, rng.randint(1, 99), rng.randint(1, 9)),
        2: _of_digits(3, 1),
        3: _of_digits(2, 2),
        4: _of_digits(3, 2),
        5: _of_digits(3, 3),
    },
    "conversion": {
        1: _to_small,
        2: _to_large,
        3: _decimal_to_small,
        4: _two_parts(2, 9),
        5: _two_parts(10, 24),
    },
    "strings": {
        1: _words((_FIRST, _LAST), 3, 8),
        2: _words((_COPY, _BEHEAD, _COUNT), 3, 6),
        3: _words((_REVERSE,), 3, 5),
        4: _words((_REVERSE,), 6, 8),
        5: _either(_words((_REVERSE,), 9, 12), _words((_NO_VOWELS,), 6, 8)),
    },
}
