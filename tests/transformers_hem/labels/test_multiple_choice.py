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


COLOURS = options_of("Which?\nA. red apple\nB. blue sky\nC. green grass\nD. black coal")


@pytest.mark.parametrize(
    "answer",
    [
        "C is the answer.",
        "It's C.",
        "I think C",
        "Answer C",
        "Ans: C",
        "The answer is definitely C",
        "The best answer is therefore C",
        "C, because grass is green",
        "<answer>C</answer>",
        "The answer cannot be B, so it must be C.",
        "The answer should not be A. It is C.",
        "The correct answer is B? No, it's C.",
        "A. red apple is wrong.\nC. green grass is right.",
        "It is C.",
        "That's C",
        "It\u2019s C!",
        "It must be C",
        "I believe C.",
        "I'd say C",
        "I think it's C",
        "I don't think it's B, it's C",
        "Ans. C",
        "ANSWER: C",
        "Answer - C",
        "The answer's C",
        "The answer is, therefore, C.",
        "The answer is most likely C.",
        "C because grass is green",
        "C - green grass",
        "C, not B",
        "It's C, not B.",
        "It's not B, it's C.",
        "The answer is not A but C.",
        "Not B but C",
        "So C.",
        "Therefore, C.",
        "I would not choose B. I'd pick C.",
        "Don't pick A. Choose C.",
        "The wrong answer is A; the right one is C.",
        "The answer is C. It cannot be B.",
        "C. I first thought the answer was B",
        "The answer is C, I think",
        "The answer is C, A is wrong",
        "If the answer were B the sky is green. The answer is C",
        "I'm not sure but I think C",
        "I am not sure, but the answer is C.",
        "If I had to choose, I'd pick C.",
        "A is wrong. B is wrong. C is correct.",
        "A. red apple is wrong.\nB. blue sky is wrong.\nC. green grass is right.\nD. It is wrong.",
        "I do not know but C is the right answer",
        "Clearly C",
        "Definitely, C.",
        "There is no doubt that the answer is C.",
        "<answer> C </answer>",
        "Some thought.<answer>C</answer>",
        "<answer>(C)</answer>",
        "Since it can't be A the answer is C",
        "The answer is green grass, not blue sky",
        "Neither A nor B is right; C is.\nAnswer: C",
        "C is the best answer.",
        "C is definitely the right one",
        "C must be the answer",
        "The blue sky is wrong. It's green grass",
        "I thought B but it's C",
        "It's C, since A and B are wrong",
        "it's c.",
        "C!",
        "B is incorrect, so C",
        "Is it B? No, C.",
        "I, for one, think C",
        "C. green grass, because the others are wrong",
    ],
)
def test_an_answer_says_c(answer: str) -> None:
    assert chosen_option(answer, COLOURS) == "C"


@pytest.mark.parametrize(
    "answer",
    [
        "A dog barks",
        "I think I know",
        "I think A dog barks",
        "It's a dog",
        "I, too, wonder",
        "I think, therefore I am",
        "The answer is not (B)",
        "I would not choose B",
        "It cannot be B",
        "The answer cannot be B.",
        "It's not C",
        "Option B is wrong.",
        "(A) is incorrect",
        "The answer is B? No.",
        "Neither A nor B is correct",
        "anything but C",
        "It's A or B",
        "I think B and C are both fine",
        "A or B is right",
        "I don't think it's C",
        "Never pick B.",
        "There is no C.",
        "E. coli",
        "I think E. coli",
        "It's C++",
        "It is C. elegans",
        "The wrong answer is B",
        "B, however, is wrong",
        "If it's B we win",
        "A. red apple is wrong.",
        "It is not the green grass",
        "A, B",
        "I",
        "It is unlikely to be B",
        "The answer is unlikely to be B",
        "C and D",
        "So A cat sat",
        "As do I",
        "I wonder whether the answer is B",
        "It's e.g. green",
        "Am I right?",
        "A B C D",
        "I don't know. C could mean anything",
        "The answer is a red one",
        "It's a (nice) day",
    ],
)
def test_an_option_that_is_denied_or_a_word_is_none(answer: str) -> None:
    assert chosen_option(answer, COLOURS) is None


@pytest.mark.parametrize(
    "answer", ["Vitamin C is the answer.", "I think Vitamin C is right", "The answer is vitamin C"]
)
def test_a_letter_of_an_options_text_is_no_option(answer: str) -> None:
    assert chosen_option(answer, OPTIONS) == "D"


@pytest.mark.parametrize(
    ("answer", "letter"),
    [
        ("I", "I"),
        ("It's I.", "I"),
        ("The answer is (I)", "I"),
        ("Answer I", "I"),
        ("I think I, too, am lost", None),
        ("I think I know", None),
    ],
)
def test_the_ninth_option_is_not_the_pronoun(answer: str, letter: str | None) -> None:
    ten = options_of("Which?\n" + "\n".join(f"{each}. {each}{each}" for each in "ABCDEFGHIJ"))
    assert chosen_option(answer, ten) == letter


def test_marks_that_are_cut_off_an_answer_are_no_difference_to_an_options_text() -> None:
    options = options_of("Which?\nA. 3 * 10^8 m/s\nB. 2 * 10^8 m/s\nC. $5$")
    assert chosen_option("A. 3 * 10^8 m/s is wrong.\nB. 2 * 10^8 m/s is right.", options) == "B"
    assert chosen_option("It is 2 * 10^8 m/s", options) == "B"


@pytest.mark.parametrize("reference", ["B", "(b)", "B.", "B. The heart", "the heart"])
def test_a_reference_is_a_letter_or_a_text(reference: str) -> None:
    assert reference_option(reference, OPTIONS) == "B"


@pytest.mark.parametrize(
    "answer",
    [
        "<think>\nThe answer is A? Rather not.\n</think>\n\nThe organ is (B).",
        "<think>The answer is A.</think>\n**B**",
        "The answer is A, or is it?</think>B. The heart",
        "$\\boxed{\\text{B}}$",
        "\\(\\boxed{\\mathbf{B}}\\)",
        '{"answer": "B"}',
        '```json\n{"choice": "B. The heart"}\n```',
        "#### B",
        "## B. The heart",
        "> B",
        "[B]",
        '"B".',
        "{B}",
        "The organ is [B]",
        "\uff22",
        "\uff08\uff22\uff09",
        "B\u3002",
        "\u3010B\u3011",
        "The answer is\uff1aB\uff0e",
        "The\u00a0heart",
        "\U0001d401",
    ],
)
def test_an_answer_is_read_whatever_it_is_wrapped_in(answer: str) -> None:
    assert chosen_option(answer, OPTIONS) == "B"


@pytest.mark.parametrize(
    "answer",
    ["<think>The answer is B", '{"answer": null}', '{"answer": "A or B"}', "[A] or [B]", "#B-side"],
)
def test_a_wrapped_answer_that_settles_on_none_is_none(answer: str) -> None:
    assert chosen_option(answer, OPTIONS) is None


def test_a_list_of_fullwidth_options_is_a_list() -> None:
    options = options_of("Which?\n\uff21\uff0e Oslo\n\uff22\uff0e Lima")
    assert options == {"A": "Oslo", "B": "Lima"}
    assert reference_option("\uff22", options) == chosen_option("Lima", options) == "B"


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
    "piece",
    [
        *[" ", "\n", "A. ", "answer is ", "answer is option ", "**A ", "("],
        *[
            "A. not\n",
            "it's ",
            "I think ",
            "answer is C, ",
            "so really ",
            "B or ",
            "A is the ",
            "heart ",
        ],
    ],
)
def test_a_long_answer_takes_a_moment(piece: str) -> None:
    began = time.process_time()
    chosen_option(piece * (100_000 // len(piece)), OPTIONS)
    assert time.process_time() - began < 2
