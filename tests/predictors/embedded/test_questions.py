"""The generator of short answers: right ones, a tight split, and a seed that says everything."""

import re
from collections import Counter
from fractions import Fraction

import pytest

from predictors.embedded.workshop import questions as source
from predictors.embedded.workshop.questions import (
    SHORT,
    Question,
    generate,
    held_out_questions,
    is_right,
    train_questions,
)

SIZES = {
    "km m": 1000, "kg g": 1000, "l ml": 1000, "m mm": 1000, "m cm": 100, "cm mm": 10,
    "h min": 60, "min s": 60, "days h": 24, "weeks days": 7, "feet inches": 12, "years months": 12,
}  # fmt: skip


def size(large: str, small: str) -> Fraction:
    if large == small:
        return Fraction(1)
    if f"{large} {small}" in SIZES:
        return Fraction(SIZES[f"{large} {small}"])
    return 1 / Fraction(SIZES[f"{small} {large}"])


def converted(query: str) -> Fraction:
    parts = re.findall(r"([\d.]+) ([a-z]+)", query)
    units = [word for word in re.findall(r"[a-z]+", query) if word in " ".join(SIZES).split()]
    mentioned = Counter(units) - Counter(unit for _, unit in parts)
    (target,) = mentioned.elements()
    return sum((Fraction(number) * size(unit, target) for number, unit in parts), Fraction())


def computed(query: str) -> int:
    first, sign, second = re.search(r"(\d+) ([-+]) (\d+)", query).groups()  # type: ignore[union-attr]
    return int(first) + int(second) if sign == "+" else int(first) - int(second)


def spelled(query: str) -> str:
    (word,) = re.findall(r"\b[A-Z]{3,}\b", query)
    for phrase, answer in (
        ("backwards", "".join(reversed(word))),
        ("Reverse", "".join(reversed(word))),
        ("vowels", re.sub("[AEIOU]", "", word)),
        ("ithout its first letter", word[1:]),
        ("Remove the first letter", word[1:]),
        ("How many letters", str(len(word))),
        ("Count the letters", str(len(word))),
        ("first letter", word[0]),
        ("start with", word[0]),
        ("last letter", word[-1]),
        ("end with", word[-1]),
    ):
        if phrase in query:
            return answer
    return word


def truly_right(question: Question) -> bool:
    if question.family == "arithmetic":
        return int(question.answer) == computed(question.query)
    if question.family == "conversion":
        return Fraction(question.answer) == converted(question.query)
    return question.answer == spelled(question.query)


def test_every_answer_is_what_an_independent_computation_finds() -> None:
    wrong = [q for q in train_questions(6000, seed=3) if not truly_right(q)]
    assert wrong == []
    assert all(map(truly_right, source.test_questions()))


def test_numbers_are_written_plainly() -> None:
    answers = [q.answer for q in train_questions(6000, seed=4) if q.family != "strings"]
    assert all(re.fullmatch(r"0|[1-9]\d*|(0|[1-9]\d*)\.\d*[1-9]", answer) for answer in answers)


def test_the_shipped_test_set_is_balanced_and_has_no_question_twice() -> None:
    shipped = source.test_questions()
    assert len(shipped) >= 1200
    assert len({q.query for q in shipped}) == len({q.id for q in shipped}) == len(shipped)
    assert len(set(Counter((q.family, q.difficulty) for q in shipped).values())) == 1
    assert {(q.family, q.difficulty) for q in shipped} == set(SHORT.kinds)


def test_the_shipped_test_set_can_be_made_again() -> None:
    assert source.test_questions() == held_out_questions(1500, seed=0)


def test_no_training_question_is_ever_a_test_question() -> None:
    held_out = {q.query for q in source.test_questions()}
    held_out |= {q.query for q in held_out_questions(20_000, seed=11)}
    trained = {q.query for q in train_questions(60_000, seed=12)}
    assert not held_out & trained


def test_another_wording_does_not_carry_a_question_to_the_other_side() -> None:
    operands = {re.findall(r"\d+|[-+]", q.query)[0:3].__str__() for q in source.test_questions()
                if q.family == "arithmetic"}  # fmt: skip
    trained = {re.findall(r"\d+|[-+]", q.query)[0:3].__str__() for q in train_questions(60_000, 5)
               if q.family == "arithmetic"}  # fmt: skip
    assert not operands & trained


@pytest.mark.parametrize(("family", "difficulty"), SHORT.kinds)
def test_the_same_seed_gives_the_same_questions(family: str, difficulty: int) -> None:
    def draw(seed: int) -> list[Question]:
        return [q for q, _ in zip(generate(family, difficulty, seed), range(50), strict=False)]

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)


def test_held_out_questions_are_all_different_and_as_many_as_asked() -> None:
    drawn = held_out_questions(20_000, seed=1)
    assert len(drawn) == len({q.query for q in drawn}) == 20_000
    assert min(Counter(q.family for q in drawn).values()) > 5000


def test_a_family_may_have_more_turns() -> None:
    counts = Counter(q.family for q in train_questions(4000, seed=1, shares={"arithmetic": 2}))
    assert counts["arithmetic"] == 2 * counts["strings"] == 2 * counts["conversion"]


def test_only_blanks_around_an_answer_are_forgiven() -> None:
    question = Question("q", "arithmetic", 1, "What is 1 + 1?", "2")
    assert is_right(" 2\n", question)
    assert not is_right("2.", question)
    assert not is_right("22", question)
