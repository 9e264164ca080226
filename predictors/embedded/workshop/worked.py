"""The two families with long answers, worked out step by step: eight letters that are moved on, or
back, in the alphabet, seven times.

One step a line. A line begins from the one before it, so an error spoils all that comes after it. A
query ends with what the first step begins with. An answer has 76 tokens.
"""

from random import Random
from string import ascii_uppercase as ALPHABET

from predictors.embedded.workshop.families import Draft, Level, made_up_word

_ON = (
    "Shift by {} seven times: {}.",
    "Seven times move each letter on by {}: {}.",
    "Write with letters {} further on, seven times: {}.",
)
_BACK = (
    "Shift back by {} seven times: {}.",
    "Seven times move each letter back by {}: {}.",
    "Write with letters {} further back, seven times: {}.",
)


def _moving(direction: int, least: int, most: int) -> Level:
    """By `least` to `most` letters; after Z comes A."""

    def level(rng: Random) -> Draft:
        places, word = rng.randint(least, most), made_up_word(rng, 8)
        lines = [f"{n} {_moved(word, direction * places * n)}" for n in range(1, 8)]
        wordings = _ON if direction > 0 else _BACK
        texts = tuple(wording.format(places, word) for wording in wordings)
        return Draft(f"moving {direction * places} {word}", texts, "\n".join(lines))

    return level


def _moved(word: str, places: int) -> str:
    return "".join(ALPHABET[(ALPHABET.index(letter) + places) % 26] for letter in word)


_PLACES = {1: (1, 1), 2: (2, 2), 3: (3, 3), 4: (4, 6), 5: (7, 9)}  # difficulty -> least, most

FAMILIES: dict[str, dict[int, Level]] = {
    "on": {difficulty: _moving(+1, *places) for difficulty, places in _PLACES.items()},
    "back": {difficulty: _moving(-1, *places) for difficulty, places in _PLACES.items()},
}
