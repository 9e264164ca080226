"""The table of scorers; a new one is one file here and one line below."""

from predictors.registry import Registry
from transformers_hem.labels.scorers.base import Scorer

SCORERS: Registry[Scorer] = Registry(
    "scorer",
    {
        "exact_match": "transformers_hem.labels.scorers.exact_match:ExactMatch",
        "multiple_choice": "transformers_hem.labels.scorers.multiple_choice:MultipleChoice",
        "numeric": "transformers_hem.labels.scorers.numeric:Numeric",
        "token_f1": "transformers_hem.labels.scorers.token_f1:TokenF1",
        "rouge_l": "transformers_hem.labels.scorers.rouge_l:RougeL",
        "bartscore": "transformers_hem.labels.scorers.bartscore:BARTScore",
        "llm_judge": "transformers_hem.labels.scorers.llm_judge:LLMJudge",
    },
)
