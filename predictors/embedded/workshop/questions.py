"""Questions with checkable answers, in three families and five difficulties each.

Whether a question may be trained on is a property of the question: one in eight, by a hash of
operation and operands, is held out, in all its wordings. So no seed can leak a test question.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import cycle, islice
from random import Random

from predictors.embedded import TEST_QUESTIONS
from predictors.embedded.workshop.families import FAMILIES
from predictors.jsonl import read_rows

KINDS = [(family, level) for family, levels in FAMILIES.items() for level in levels]
_GIVE_UP = 200  # drafts in a row that bring nothing new: that difficulty is used up


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    family: str
    difficulty: int
    query: str
    answer: str


def generate(family: str, difficulty: int, seed: int, *, test: bool = False) -> Iterator[Question]:
    """Questions of one kind on one side of the split, without end and with repetitions."""
    level = FAMILIES[family][difficulty]
    rng = Random(f"{family} {difficulty} {seed} {test}")
    while True:
        draft = level(rng)
        query = rng.choice(draft.wordings)
        held_out = blake2b(draft.key.encode(), digest_size=1).digest()[0] < 32  # of 256
        if held_out == test:
            name = blake2b(query.encode(), digest_size=6).hexdigest()
            yield Question(f"{family}-{difficulty}-{name}", family, difficulty, query, draft.answer)


def train_questions(
    count: int, seed: int, shares: Mapping[str, int] | None = None
) -> Iterator[Question]:
    """`count` questions of the training side, families and difficulties in turn; may repeat.

    `shares` gives a family more than one turn in each round.
    """
    sources = {kind: generate(*kind, seed) for kind in KINDS}
    turns = [kind for kind in KINDS for _ in range((shares or {}).get(kind[0], 1))]
    for kind in islice(cycle(turns), count):
        yield next(sources[kind])


def held_out_questions(count: int, seed: int) -> list[Question]:
    """`count` different questions of the test side, families and difficulties in turn.

    A difficulty that has no more new questions drops out, the others fill its place.
    """
    sources = [generate(family, level, seed, test=True) for family, level in KINDS]
    chosen: dict[str, Question] = {}
    while len(chosen) < count:
        for source in list(sources):
            drawn = islice(source, _GIVE_UP)
            question = next((each for each in drawn if each.query not in chosen), None)
            if question is None:
                sources.remove(source)
            elif len(chosen) < count:
                chosen[question.query] = question
    return list(chosen.values())


def test_questions() -> list[Question]:
    """The shipped test set, which is `held_out_questions(1500, seed=0)`."""
    return [Question(**row) for _, row in read_rows(TEST_QUESTIONS)]


test_questions.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test


def is_right(answer_text: str, question: Question) -> bool:
    """Exact match, apart from blanks around the answer."""
    return answer_text.strip() == question.answer
