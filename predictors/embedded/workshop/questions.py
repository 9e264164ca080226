"""Questions with checkable answers, in families of five difficulties each.

Whether a question may be trained on is a property of the question: one in eight, by a hash of
operation and operands, is held out, in all its wordings. So no seed can leak a test question.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import cycle, islice
from pathlib import Path
from random import Random

from predictors.embedded import LONG_TEST_QUESTIONS, TEST_QUESTIONS
from predictors.embedded.workshop import families, worked
from predictors.embedded.workshop.families import Level
from predictors.jsonl import read_rows

_GIVE_UP = 200  # drafts in a row that bring nothing new: that difficulty is used up


@dataclass(frozen=True, slots=True)
class QuestionSet:
    """What a pair of models is trained on, and asked.

    longest_answer: tokens a model may write, the end token included. shares: how many turns a
    family has in each round of training, where it is not one.
    """

    families: Mapping[str, Mapping[int, Level]]
    test_file: Path
    longest_answer: int
    shares: Mapping[str, int] = field(default_factory=dict)

    @property
    def kinds(self) -> list[tuple[str, int]]:
        return [(family, level) for family, levels in self.families.items() for level in levels]


SHORT = QuestionSet(
    families.FAMILIES,
    TEST_QUESTIONS,
    longest_answer=24,  # the generator's longest has 13
    shares={"arithmetic": 2},  # the slowest to be learned
)
LONG = QuestionSet(worked.FAMILIES, LONG_TEST_QUESTIONS, longest_answer=100)  # all have 77
SETS = {"short": SHORT, "long": LONG}  # by the pair's name


@dataclass(frozen=True, slots=True)
class Question:
    id: str
    family: str
    difficulty: int
    query: str
    answer: str


def generate(
    family: str, difficulty: int, seed: int, *, test: bool = False, of: QuestionSet = SHORT
) -> Iterator[Question]:
    """Questions of one kind on one side of the split, without end and with repetitions."""
    level = of.families[family][difficulty]
    rng = Random(f"{family} {difficulty} {seed} {test}")
    while True:
        draft = level(rng)
        query = rng.choice(draft.wordings)
        held_out = blake2b(draft.key.encode(), digest_size=1).digest()[0] < 32  # of 256
        if held_out == test:
            name = blake2b(query.encode(), digest_size=6).hexdigest()
            yield Question(f"{family}-{difficulty}-{name}", family, difficulty, query, draft.answer)


def train_questions(
    count: int, seed: int, shares: Mapping[str, int] | None = None, of: QuestionSet = SHORT
) -> Iterator[Question]:
    """`count` questions of the training side, families and difficulties in turn; may repeat.

    `shares` gives a family more than one turn in each round.
    """
    sources = {kind: generate(*kind, seed, of=of) for kind in of.kinds}
    turns = [kind for kind in of.kinds for _ in range((shares or {}).get(kind[0], 1))]
    for kind in islice(cycle(turns), count):
        yield next(sources[kind])


def held_out_questions(count: int, seed: int, of: QuestionSet = SHORT) -> list[Question]:
    """`count` different questions of the test side, families and difficulties in turn.

    A difficulty that has no more new questions drops out, the others fill its place.
    """
    sources = [generate(family, level, seed, test=True, of=of) for family, level in of.kinds]
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


def test_questions(of: QuestionSet = SHORT) -> list[Question]:
    """The shipped test set: `held_out_questions(1500, seed=0)`, of LONG 400."""
    return [Question(**row) for _, row in read_rows(of.test_file)]


test_questions.__test__ = False  # type: ignore[attr-defined]  # pytest: not a test


def is_right(answer_text: str, question: Question) -> bool:
    """Exact match, of all steps too, apart from blanks around the answer."""
    return answer_text.strip() == question.answer
