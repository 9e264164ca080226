"""Questions with checkable answers, in three families and five difficulties each.

Whether a question may be trained on is a property of the question: one in eight, by a hash of
operation and operands, is held out, in all its wordings. So no seed can leak a test question.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from hashlib import blake2b
from itertools import cycle
from pathlib import Path
from random import Random

from predictors.embedded.workshop import (
    arithmetic,
    conversion,
    strings,
)
from predictors.embedded.workshop.draft import Level

FAMILIES: dict[str, dict[int, Level]] = {
    "arithmetic": arithmetic.LEVELS,
    "conversion": conversion.LEVELS,
    "strings": strings.LEVELS,
}
TEST_FILE = Path(__file__).parents[1] / "data" / "test.jsonl"
_GIVE_UP = 200  # drafts in a row that bring nothing new: that difficulty is used up


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    family: str
    difficulty: int
    query: str
    answer: str


def held_out(key: str) -> bool:
    """Whether the question named by a `Draft.key` belongs to the test side."""
    return blake2b(key.encode(), digest_size=1).digest()[0] < 32


def generate(family: str, difficulty: int, seed: int, *, test: bool = False) -> Iterator[Question]:
    """Questions of one kind on one side of the split, without end and with repetitions."""
    level = FAMILIES[family][difficulty]
    rng = Random(f"{family} {difficulty} {seed} {test}")
    while True:
        draft = level(rng)
        query = rng.choice(draft.wordings)
        if held_out(draft.key) == test:
            name = blake2b(query.encode(), digest_size=6).hexdigest()
            yield Question(f"{family}-{difficulty}-{name}", family, difficulty, query, draft.answer)


def train_questions(
    count: int, seed: int, shares: Mapping[str, int] | None = None
) -> Iterator[Question]:
    """`count` questions of the training side, families and difficulties in turn; may repeat.

    `shares` gives a family more than one turn in each round.
    """
    sources = {kind: generate(*kind, seed) for kind in _kinds()}
    turns = [kind for kind in sources for _ in range((shares or {}).get(kind[0], 1))]
    for _, kind in zip(range(count), cycle(turns), strict=False):
        yield next(sources[kind])


def held_out_questions(count: int, seed: int) -> list[Question]:
    """`count` different questions of the test side, families and difficulties in turn.

    A difficulty that has no more new questions drops out, the others fill its place.
    """
    sources = [generate(family, level, seed, test=True) for family, level in _kinds()]
    chosen: dict[str, Question] = {}
    while len(chosen) < count:
        for source in list(sources):
            question = _new(source, chosen)
            if question is None:
                sources.remove(source)
            elif len(chosen) < count:
                chosen[question.query] = question
    return list(chosen.values())


def test_questions() -> list[Question]:
    """The shipped test set: same number in each family and difficulty."""
    return list(_read(TEST_FILE))


test_questions.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test


def is_right(answer_text: str, question: Question) -> bool:
    """Exact match, apart from blanks around it."""
    return answer_text.strip() == question.answer


def write(questions: list[Question], path: Path) -> None:
    """JSONL, one question a line, as `test_questions` reads it."""
    path.write_text("".join(json.dumps(asdict(question)) + "\n" for question in questions))


def _kinds() -> list[tuple[str, int]]:
    return [(family, level) for family, levels in FAMILIES.items() for level in levels]


def _new(source: Iterator[Question], known: dict[str, Question]) -> Question | None:
    for _, question in zip(range(_GIVE_UP), source, strict=False):
        if question.query not in known:
            return question
    return None


@cache
def _read(path: Path) -> tuple[Question, ...]:
    return tuple(Question(**json.loads(line)) for line in path.read_text().splitlines())
