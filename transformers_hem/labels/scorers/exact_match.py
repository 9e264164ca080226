"""Exact match, apart from case, white space and Unicode's different spellings of one text."""

from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.base import ReferenceScorer
from transformers_hem.labels.scorers.plain_text import normalised


class ExactMatch(ReferenceScorer):
    graded = False

    def against(self, answer: str, reference: str, question: Question) -> float:
        return float(normalised(answer) == normalised(reference))
