"""Operations on made-up words: pick a letter, count, cut, turn round; the words grow."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from predictors.embedded.workshop.draft import Draft, Level

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


def _word(rng: Random, length: int) -> str:
    """Letters that mostly alternate between consonant and vowel, so that it can be said.

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


def _level(operations: tuple[Operation, ...], least: int, most: int) -> Level:
    """Any of the operations, on a word of `least` to `most` letters."""

    def level(rng: Random) -> Draft:
        name, wordings, operate = rng.choice(operations)
        word = _word(rng, rng.randint(least, most))
        return Draft(
            f"strings {name} {word}", tuple(w.format(word) for w in wordings), operate(word)
        )

    return level


def _either(first: Level, second: Level) -> Level:
    def level(rng: Random) -> Draft:
        return rng.choice((first, second))(rng)

    return level


LEVELS: dict[int, Level] = {
    1: _level((_FIRST, _LAST), 3, 8),
    2: _level((_COPY, _BEHEAD, _COUNT), 3, 6),
    3: _level((_REVERSE,), 3, 5),
    4: _level((_REVERSE,), 6, 8),
    5: _either(_level((_REVERSE,), 9, 12), _level((_NO_VOWELS,), 6, 8)),
}
