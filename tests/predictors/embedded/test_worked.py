"""The generator of long answers: each step is right, and begins where the one before it ended."""

import re
from collections import Counter
from itertools import islice
from string import ascii_uppercase as ALPHABET

import pytest
from transformers import AutoTokenizer

from predictors.embedded import directory
from predictors.embedded.workshop.questions import (
    LONG,
    Question,
    generate,
    held_out_questions,
    test_questions as shipped_questions,
    train_questions,
)

LEAST_TOKENS = 64


FAMILIES = ("on", "back")


def holds(family: str, query: str, lines: list[str]) -> bool:
    sign = 1 if family == "on" else -1
    (word,) = re.findall(r"[A-Z]{8}", query)
    (places,) = map(int, re.findall(r"\d", query))
    for number, line in enumerate(lines, start=1):
        moved = [(ALPHABET.index(letter) + sign * number * places) % 26 for letter in word]
        if line != f"{number} {''.join(ALPHABET[place] for place in moved)}":
            return False
    return len(lines) == 7


def truly_right(question: Question) -> bool:
    return holds(question.family, question.query, question.answer.splitlines())


def test_every_step_is_what_an_independent_computation_finds() -> None:
    wrong = [q for q in train_questions(4000, seed=3, of=LONG) if not truly_right(q)]
    assert wrong == []
    assert all(map(truly_right, shipped_questions(LONG)))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_check_finds_one_wrong_sign_in_the_last_line(family: str) -> None:
    question = next(generate(family, 3, seed=1, of=LONG))
    *lines, last = question.answer.splitlines()
    other = last[:-1] + ("7" if last[-1] != "7" else "8")
    assert holds(family, question.query, [*lines, last])
    assert not holds(family, question.query, [*lines, other])


def test_every_answer_has_at_least_64_tokens_and_fits_what_a_model_may_write() -> None:
    tokenizer = AutoTokenizer.from_pretrained(directory("long-edge"))
    answers = [q.answer for q in (*shipped_questions(LONG), *train_questions(4000, 5, of=LONG))]
    lengths = [len(tokens) for tokens in tokenizer(answers)["input_ids"]]
    assert min(lengths) >= LEAST_TOKENS
    assert max(lengths) + 1 <= LONG.longest_answer  # the end token


def test_the_shipped_test_set_is_balanced_and_has_no_question_twice() -> None:
    shipped = shipped_questions(LONG)
    assert len(shipped) == len({q.query for q in shipped}) == len({q.id for q in shipped}) == 400
    counts = Counter((q.family, q.difficulty) for q in shipped)
    assert counts == {kind: 40 for kind in LONG.kinds}


def test_the_shipped_test_set_can_be_made_again() -> None:
    assert shipped_questions(LONG) == held_out_questions(400, seed=0, of=LONG)


def test_no_training_question_is_ever_a_test_question() -> None:
    held_out = {q.query for q in shipped_questions(LONG)}
    held_out |= {q.query for q in held_out_questions(4000, seed=11, of=LONG)}
    trained = {q.query for q in train_questions(20_000, seed=12, of=LONG)}
    assert not held_out & trained


@pytest.mark.parametrize(("family", "difficulty"), LONG.kinds)
def test_the_same_seed_gives_the_same_questions(family: str, difficulty: int) -> None:
    def draw(seed: int) -> list[Question]:
        return list(islice(generate(family, difficulty, seed, of=LONG), 20))

    assert draw(1) == draw(1)
    assert draw(1) != draw(2)
