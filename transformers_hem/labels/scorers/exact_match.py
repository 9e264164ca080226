"""Exact match, apart from case, white space and Unicode's different spellings of one text."""

import unicodedata

from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.base import ReferenceScorer


class ExactMatch(ReferenceScorer):
    graded = False

    def against(self, answer: str, reference: str, question: Question) -> float:
        return float(normalised(answer) == normalised(reference))


def normalised(text: str) -> str:
    """Unicode's NFKC, case folded, white space collapsed and cut off at the ends."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
