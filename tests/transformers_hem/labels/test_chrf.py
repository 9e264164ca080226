"""chrF, beside its definition computed by hand."""

from collections import Counter

import pytest

from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.options import make_scorer


def by_hand(answer: str, reference: str) -> float:
    """Popović 2015: F2 of the mean precision and recall over character n-grams of 1 to 6."""
    answer, reference = answer.replace(" ", ""), reference.replace(" ", "")
    precisions, recalls = [], []
    for n in range(1, 7):
        ours, theirs = (
            Counter(text[i : i + n] for i in range(len(text) - n + 1))
            for text in (answer, reference)
        )
        shared = sum((ours & theirs).values())
        if sum(theirs.values()) and sum(ours.values()):
            precisions.append(shared / sum(ours.values()))
            recalls.append(shared / sum(theirs.values()))
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("the cat sat on the mat", "the cat sat on a mat"),
        ("机器学习很有趣", "机器学习非常有趣"),
        ("completely different", "nothing alike"),
    ],
)
async def test_it_is_the_f_score_of_character_n_grams(answer: str, reference: str) -> None:
    question = Question("q", "translate", reference, (reference,), {}, "", "")
    pair = await make_scorer("chrf", []).score(question, answer, reference)
    assert pair.edge == pytest.approx(by_hand(answer, reference), abs=0.02)
    assert pair.cloud == pytest.approx(1.0)


async def test_of_several_references_the_best_counts() -> None:
    question = Question("q", "translate", None, ("far away", "so near"), {}, "", "")
    pair = await make_scorer("chrf", ["word_order=2"]).score(question, "so near", "so far")
    assert pair.edge == pytest.approx(1.0) and 0 < pair.cloud < 1
