"""F1 of the words that answer and reference share, as SQuAD counts it (arXiv 1606.05250)."""

import re
import string
from collections import Counter
from typing import Final

from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.base import ReferenceScorer

_NO_PUNCTUATION: Final = str.maketrans("", "", string.punctuation)
_ARTICLES: Final = re.compile(r"\b(?:a|an|the)\b")


class TokenF1(ReferenceScorer):
    """In [0, 1]. Words stand between white space: texts of a language without it need another
    scorer."""

    def against(self, answer: str, reference: str, question: Question) -> float:
        given, expected = words(answer), words(reference)
        if not given or not expected:
            return float(given == expected)
        shared = sum((Counter(given) & Counter(expected)).values())
        return 2 * shared / (len(given) + len(expected))


def words(text: str) -> list[str]:
    """Lower case, without punctuation and English articles."""
    return _ARTICLES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).split()
