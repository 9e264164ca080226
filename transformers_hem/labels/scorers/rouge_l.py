"""ROUGE-L by Google's rouge-score: F-measure of the longest common subsequence of words."""

from rouge_score.rouge_scorer import RougeScorer

from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.base import ReferenceScorer, ScorerOptions


class RougeLOptions(ScorerOptions):
    stemmer: bool = True


class RougeL(ReferenceScorer):
    """In [0, 1]. rouge-score keeps the letters a-z and digits only: English texts."""

    Options = RougeLOptions
    options: RougeLOptions

    def __init__(self, options: RougeLOptions) -> None:
        super().__init__(options)
        self._scorer = RougeScorer(["rougeL"], use_stemmer=options.stemmer)

    def against(self, answer: str, reference: str, question: Question) -> float:
        return float(self._scorer.score(reference, answer)["rougeL"].fmeasure)
