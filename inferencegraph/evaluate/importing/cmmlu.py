"""CMMLU as published (https://github.com/haonan-li/CMMLU, arXiv 2306.09212): test/SUBJECT.csv with
the header ",Question,A,B,C,D,Answer", and examples in dev/SUBJECT.csv.

The prompt is that of its src/mp_utils.py, which names the subject in Chinese; here it is left
out of the heading. Without examples there is no heading.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from inferencegraph.evaluate.importing.choices import LETTERS, Choices, Question
from inferencegraph.evaluate.importing.files import csv_records
from inferencegraph.evaluate.importing.report import Place, Report

_COLUMNS: Final = ("Question", "A", "B", "C", "D", "Answer")


class CMMLU(Choices):
    def cells(self, path: Path, report: Report) -> Iterator[tuple[Place, list[str]]]:
        for place, record in csv_records(path, _COLUMNS, report, self.reading.on_read):
            yield place, [record[column] for column in _COLUMNS]

    def heading(self, subject: str) -> str:
        return "以下是单项选择题，请直接给出正确答案的选项。\n\n"  # noqa: RUF001

    def asked(self, question: Question) -> str:
        listed = zip(LETTERS, question.options, strict=False)
        options = "".join(f"\n{letter}. {option}" for letter, option in listed)
        return f"题目：{question.text}{options}\n答案是："  # noqa: RUF001

    def example(self, question: Question) -> str:
        return f"{self.asked(question)}{question.answer}\n\n"

    def subject_of(self, path: Path) -> str:
        return path.name.removesuffix(".gz").removesuffix(".csv")

    def dev_name(self, subject: str) -> str:
        return f"{subject}.csv"
