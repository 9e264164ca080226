"""MMLU as published (https://github.com/hendrycks/test, arXiv 2009.03300):
data/test/SUBJECT_test.csv without a header, a question, four options and a letter in each
record; examples in data/dev.

The prompt is that of its evaluate.py, apart from a doubled blank. Without examples it has no
heading: that is how RouteLLM asked the questions whose answers it published.
"""

from pathlib import Path
from typing import Final

from inferencegraph.evaluate.importing.choices import LETTERS, Choices, Question

_SPLITS: Final = ("test", "val", "dev", "train")


class MMLU(Choices):
    def heading(self, subject: str) -> str:
        name = subject.replace("_", " ")
        return f"The following are multiple choice questions (with answers) about {name}.\n\n"

    def asked(self, question: Question) -> str:
        listed = zip(LETTERS, question.options, strict=False)
        options = "".join(f"\n{letter}. {option}" for letter, option in listed)
        return f"{question.text}{options}\nAnswer:"

    def example(self, question: Question) -> str:
        return f"{self.asked(question)} {question.answer}\n\n"

    def subject_of(self, path: Path) -> str:
        name = path.name.removesuffix(".gz").removesuffix(".csv")
        subject, _, split = name.rpartition("_")
        return subject if subject and split in _SPLITS else name

    def dev_name(self, subject: str) -> str:
        return f"{subject}_dev.csv"
