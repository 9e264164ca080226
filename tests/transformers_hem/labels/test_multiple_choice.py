"""Which option an answer settles on."""

import time

import pytest

from tests.transformers_hem.labels.questions import question
from transformers_hem.labels.scorers.base import Pair, ScorerOptions
from transformers_hem.labels.scorers.multiple_choice import (
    MultipleChoice,
    chosen_option,
    options_of,
    reference_option,
)

QUERY = """Which organ pumps blood?
A. The liver
B. The heart
C. The left lung
D. Vitamin C
Answer:"""
OPTIONS = options_of(QUERY)


def test_a_refusal_is_not_the_letter_it_begins_with() -> None:
    """Sedna's and Ianvs's extraction reads C here: the first capital letter from A to D."""
    assert chosen_option("I Cannot answer", OPTIONS) is None


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("B", "B"),
        ("b", "B"),
        (" (B) ", "B"),
        ("B.", "B"),
        ("B) foo", "B"),
        ("B: The heart", "B"),
        ("**B**", "B"),
        ("**B. The heart**", "B"),
        ("I would go with **C**", "C"),
        ("I would say **C. The left lung** here", "C"),
        ("The answer is (B)", "B"),
        ("The answer is B the heart", "B"),
        ("The answer is A.", "A"),
        ("The answer is A because it is", "A"),
        ("The answer is: A", "A"),
        ("The answer is:\nB. The heart", "B"),
        ("Answer: B", "B"),
        ("Answer: **B. The heart**", "B"),
        ("answer: c", "C"),
        ('My final answer is "B".', "B"),
        ("The correct answer, therefore, is\nB", "B"),
        ("The correct option is: (D)", "D"),
        ("Option B is correct", "B"),
        ("Therefore B is the correct one", "B"),
        ("I choose option D", "D"),
        (r"So $\boxed{\text{(C)}}$", "C"),
        ("reasoning...\n\nB", "B"),
        ("Let's see. A is wrong. The correct answer is C, since ...", "C"),
        ("First I thought the answer is A. But actually the answer is D.", "D"),
        ("So A isn't right, B is right", "B"),
        ("B) The heart.\nA) is wrong\nC) is wrong", "B"),
        ("the heart", "B"),
        ("It's vitamin C.", "D"),
        ("The answer is not A. It is the heart", "B"),
    ],
)
def test_an_answer_settles_on_an_option(answer: str, letter: str) -> None:
    assert chosen_option(answer, OPTIONS) == letter


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I don't know",
        "A cat sat on a mat",
        "The answer is A good one",
        "C++ is a language",
        "None of the above",
        "The answer is E",
        "The answer is A or B",
        "The answer is (A) or (B)",
        "A, B",
        "Both are right: (A) and (C)",
        "It is impossible to say if A is correct",
        "A. The liver\nB. The heart\nC. The left lung\nD. Vitamin C",
        "the liver or the heart",
    ],
)
def test_an_answer_that_settles_on_none_or_several_is_none(answer: str) -> None:
    assert chosen_option(answer, OPTIONS) is None


@pytest.mark.parametrize("reference", ["B", "(b)", "B.", "B. The heart", "the heart"])
def test_a_reference_is_a_letter_or_a_text(reference: str) -> None:
    assert reference_option(reference, OPTIONS) == "B"


async def test_no_answer_is_wrong() -> None:
    scorer = MultipleChoice(ScorerOptions())
    asked = question(QUERY, "B")
    assert await scorer.score(asked, "I Cannot say", "B. It is") == Pair(0, 1)


def test_a_reference_that_is_no_option_is_refused() -> None:
    scorer = MultipleChoice(ScorerOptions())
    with pytest.raises(ValueError, match="'the brain' is neither an option's letter nor its text"):
        scorer.check(question(QUERY, "the brain"))


def test_a_query_without_a_list_has_five_letters() -> None:
    assert chosen_option("E", options_of("Choose.")) == "E"
    assert chosen_option("F", options_of("Choose.")) is None


@pytest.mark.parametrize(
    "piece", [" ", "\n", "A. ", "answer is ", "answer is option ", "**A ", "("]
)
def test_a_long_answer_takes_a_moment(piece: str) -> None:
    began = time.process_time()
    chosen_option(piece * (100_000 // len(piece)), OPTIONS)
    assert time.process_time() - began < 2
