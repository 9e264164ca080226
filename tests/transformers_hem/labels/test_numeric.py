"""The number an answer ends on, and how it compares with what was published for real answers."""

import gzip
import json
import re
import time
from pathlib import Path

import pytest

from tests.transformers_hem.labels.questions import question
from transformers_hem.labels.scorers.base import Pair
from transformers_hem.labels.scorers.numeric import Numeric, NumericOptions, final_number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("42", 42),
        ("6*7=<<6*7=42>>42\n#### 42", 42),
        ("#### 42\n\n(7 of them are red)", 42),
        ("It costs $1,234.50.", 1234.5),
        ("#### $-15", -15),
        ("a loss of -$3", -3),
        ("3 - 5 = \u22122", -2),
        ("10-5", 5),
        ("60 minutes", 60),
        ("50%", 50),
        ("1.5e3 metres", 1500),
        ("The answer is 12 cups. There are 3 left over.", 12),
        (r"so \(x = \boxed{1{,}024}\), for 3 of them", 1024),
        (r"\boxed{\frac{3}{4}}", 0.75),
        ("**7**", 7),
        ("half is 1/2", 0.5),
        ("on 9/10/2024", 2024),
        ("1,2,3", 3),
        (".5", 0.5),
        ("#### \nabout 9", 9),
        ("The answer is 2 + 3 = 5", 5),
        ("The answer is 12 eggs per day * $2 = $24", 24),
        ("The answer is 2 1/2", 2.5),
        ("The answer is -2 1/2 cups.", -2.5),
        ("answer is not 5 but 6", 6),
        ("The answer is not 5. It is 6", 6),
        ("The answer is not 5, it's 6.", 6),
        ("The answer is not 5 or 6 but 7", 7),
        ("The answer is 5 = 2 + 3", 5),
        ("The answer is 6 = 2x3", 6),
        ("The answer is 2*-3 = -6", -6),
        ("The answer is 2*3 = 6 = 12/2 pears", 6),
        ("The answer is 66 - 10 = <<66-10=56>>56 students.", 56),
        ("The answer is x = 5, and y = 3", 5),
        ("The answer is 24 because 12 * 2 = 24, and 1 = 1", 24),
        ("The answer is 24 (12 + 13 = 25 is wrong)", 24),
        ("The answer is 1,024, which is 2^10 = 32 * 32", 1024),
        ("The answer is 20/90, which simplifies to 2/9", 20 / 90),
        (r"The answer is 10 \div 4 = 2\frac{1}{2}", 2.5),
        (r"The answer is $10/3 \approx 3.33$", 3.33),
        ("Answer: 3 apples + 2 pears = 5 fruits", 5),
        ("The answer is 3.5.", 3.5),
        ("#### 2 + 3 = 5", 5),
        (r"\boxed{2 \times 3 = 6}", 6),
        ("The answer is *7* apples", 7),
        ("it takes 1 1/2 hours", 1.5),
        ("half of 5 * 1/2", 0.5),
        ("The answer is not known", None),
        ("nobody knows", None),
        ("", None),
        ("1/0", None),
        ("1e999", None),
        ("9" * 400, None),
    ],
)
def test_the_number_an_answer_ends_on(text: str, number: float | None) -> None:
    assert final_number(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("<think>\nSo the answer is 41? No.\n</think>\nIt costs 42 euros.", 42),
        ("<think>The answer is 41", None),
        ('```json\n{"answer": 42, "steps": 3}\n```', 42),
        ('{"result": "1,024 apples", "n": 3}', 1024),
        ("42\n\nHuman: another question about 7", 42),
        ("The answer is \u20135", -5),
        ("The answer is \u2013$5", -5),
        ("10\u201315 minutes", 15),
        ("The answer is 1\u202f234", 1234),
        ("The answer is 1\u2009234\u2009567.5", 1234567.5),
        ("The answer is 12\u00a0000 metres.", 12000),
        ("The answer is 12 000 metres.", 12000),
        ("It is 1'234'567", 1234567),
        (r"\boxed{12\,000}", 12000),
        ("in 2024 100 people", 100),
        ("it takes 12 1/2 or 3 100/200", 3.5),
        ("The answer is \u0664\u0662", 42),
        ("\u0661\u066c\u0662\u0663\u0664\u066b\u0665", 1234.5),
        ("\uff04\uff14\uff12", 42),
        ("The answer is \u00bd", 0.5),
        ("The answer is 3\u00bd", 3.5),
        ("The answer is \u22123\u00be cups", -3.75),
        ("\\boxed{\\tfrac{1}{2}}", 0.5),
        ("\\frac34", 0.75),
        ("\\boxed{\\text{42}}", 42),
        ("25 m\u00b2", 25),
        ("25\u33a1", 25),
    ],
)
def test_a_number_is_read_whatever_it_is_wrapped_in(text: str, number: float | None) -> None:
    assert final_number(text) == number


async def test_numbers_are_equal_within_a_relative_tolerance() -> None:
    close, exact = Numeric(NumericOptions()), Numeric(NumericOptions(tolerance=0))
    asked = question("q", "#### 33.33")
    assert await close.score(asked, "33.333", "33.4") == Pair(1, 0)
    assert await exact.score(asked, "33.333", "33.33 dollars") == Pair(0, 1)


async def test_the_best_of_several_references_counts() -> None:
    assert await Numeric(NumericOptions()).score(question("q", "1", "2"), "2", "3") == Pair(1, 0)


def test_a_reference_without_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="reference 'none' has no number"):
        Numeric(NumericOptions()).check(question("q", "none"))


@pytest.mark.parametrize(
    "piece", ["9", " ", "9 = ", "9 * ", "1 1/2 ", "#### not 9, ", "answer is 9 ("]
)
def test_a_long_answer_takes_a_moment(piece: str) -> None:
    began = time.process_time()
    final_number(piece * (100_000 // len(piece)))
    assert time.process_time() - began < 2


def published_number(answer: str) -> str:
    """What the published labels compare: the last run of digits. It reads $8.00 as 00."""
    digits = re.findall(r"\d+", answer.replace(",", ""))
    return str(digits[-1]) if digits else ""


async def test_real_answers_get_the_published_label_or_a_better_one(shared: Path) -> None:
    """807 GSM8K questions, two models, 1,614 answers: 97.9% agree. We count 30 right that were
    published as wrong for their cents or minutes, and 4 wrong: two of the wrong sign, 7.8 for 8,
    and one (gsm8k-648) that names other numbers after its result."""
    data = gzip.decompress((shared / "data" / "gsm8k_mixtral_gpt4.jsonl.gz").read_bytes())
    scorer = Numeric(NumericOptions())
    stricter, kinder, count = set(), [], 0
    for row in map(json.loads, data.splitlines()):
        asked = question(row["query"], row["reference"])
        pair = await scorer.score(asked, row["edge_answer"], row["cloud_answer"])
        for side, ours in zip(("edge", "cloud"), pair, strict=True):
            answer, published = row[f"{side}_answer"], row[f"{side}_correct"]
            assert published == (published_number(answer) == published_number(row["reference"]))
            count += 1
            if published and not ours:
                stricter.add(row["id"])
            if ours and not published:
                kinder.append(answer)
    assert (len(stricter) + len(kinder)) / count < 0.022
    assert stricter == {"gsm8k-158", "gsm8k-648", "gsm8k-1229", "gsm8k-1257"}
    assert all(re.search(r"\d[.:]\d\d\D*$", answer.strip()) for answer in kinder)
