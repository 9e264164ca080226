"""The table of scorers; a new one is one file here and one line below.

base.py            what a scorer is
options.py         from a name and the options of a command line to a scorer
plain_text.py      one spelling for Unicode's and LaTeX's variants
answer_text.py     a model's answer, without its reasoning and what is around it
languages.py       how an answer is stated in each language but English: a row a language
statements.py      finds statements by that table
option_letters.py  what an answer says of options by their letters, for multiple_choice.py
numbers.py         how numbers are written, for numeric.py

All others are scorers, named as in the table.
"""

from predictors.registry import Registry
from transformers_hem.labels.scorers.base import Scorer

SCORERS: Registry[Scorer] = Registry(
    "scorer",
    {
        "exact_match": "transformers_hem.labels.scorers.exact_match:ExactMatch",
        "multiple_choice": "transformers_hem.labels.scorers.multiple_choice:MultipleChoice",
        "numeric": "transformers_hem.labels.scorers.numeric:Numeric",
        "token_f1": "transformers_hem.labels.scorers.token_f1:TokenF1",
        "chrf": "transformers_hem.labels.scorers.chrf:ChrF",
        "rouge_l": "transformers_hem.labels.scorers.rouge_l:RougeL",
        "bartscore": "transformers_hem.labels.scorers.bartscore:BARTScore",
        "llm_judge": "transformers_hem.labels.scorers.llm_judge:LLMJudge",
    },
)
