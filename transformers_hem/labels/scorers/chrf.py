"""chrF and chrF++ by sacreBLEU: character n-grams (Popović 2015, 2017), for translations and any
language without spaces."""

from pydantic import Field
from sacrebleu.metrics.chrf import CHRF

from transformers_hem.labels.question import Question
from transformers_hem.labels.scorers.base import ReferenceScorer, ScorerOptions


class ChrFOptions(ScorerOptions):
    word_order: int = Field(0, ge=0, le=4, description="of words besides; 2 is chrF++")
    lowercase: bool = False


class ChrF(ReferenceScorer):
    """In [0, 1]: sacreBLEU's sentence score over 100."""

    Options = ChrFOptions
    options: ChrFOptions

    def __init__(self, options: ChrFOptions) -> None:
        super().__init__(options)
        self._metric = CHRF(
            word_order=options.word_order, lowercase=options.lowercase, eps_smoothing=True
        )

    def against(self, answer: str, reference: str, question: Question) -> float:
        return float(self._metric.sentence_score(answer, [reference]).score) / 100
