"""Questions with options, and examples in front of them: what MMLU and CMMLU share."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from inferencegraph.evaluate.importing.files import csv_lists
from inferencegraph.evaluate.importing.importer import ImportOptions, Reading, RecordImporter
from inferencegraph.evaluate.importing.report import LeftOut, Place, Report
from inferencegraph.evaluate.importing.rows import Row
from predictors.errors import ConfigurationError

LETTERS = ascii_uppercase[:10]  # those that the scorer multiple_choice reads


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    options: Sequence[str]
    answer: str

    @classmethod
    def of(cls, cells: Sequence[str]) -> "Question":
        """The question, its options and the letter of the right one. Raises LeftOut."""
        if len(cells) < 4:
            raise LeftOut("missing columns", f"{len(cells)} in place of 6")
        text, *options, answer = (cell.strip() for cell in cells)
        if len(options) > len(LETTERS):
            raise LeftOut("too many options", f"{len(options)}; at most {len(LETTERS)}")
        if not text:
            raise LeftOut("an empty query")
        if answer not in LETTERS[: len(options)] or len(answer) != 1:
            letters = f"A to {LETTERS[len(options) - 1]}"
            raise LeftOut("an answer that is no option's letter", f"{answer!r:.40}, not {letters}")
        return cls(text, options, answer)


class ChoiceOptions(ImportOptions):
    split: Literal["test", "val", "dev"] = "test"
    shots: Annotated[int, Field(ge=0, le=5)] = 0
    dev: Path | None = None


class Choices(RecordImporter):
    """Of folders with a folder for each split, and a CSV file for each subject in it."""

    Options: ClassVar[type[ImportOptions]] = ChoiceOptions
    names: ClassVar[tuple[str, ...]] = (".csv", ".csv.gz")
    options: ChoiceOptions

    def __init__(self, options: Any, reading: Reading) -> None:
        super().__init__(options, reading)
        self._subject, self._before = "", ""

    @abstractmethod
    def heading(self, subject: str) -> str:
        """In front of examples."""

    @abstractmethod
    def asked(self, question: Question) -> str:
        """A question with its options, up to where the answer begins."""

    @abstractmethod
    def example(self, question: Question) -> str:
        """The same with the answer and the blank line behind it."""

    @abstractmethod
    def subject_of(self, path: Path) -> str:
        """Of a file, by its name."""

    @abstractmethod
    def dev_name(self, subject: str) -> str:
        """The name of the subject's file with examples."""

    def cells(self, path: Path, report: Report) -> Iterator[tuple[Place, list[str]]]:
        """The records of a file, without a header."""
        return csv_lists(path, report, self.reading.on_read)

    def rows(self, paths: Sequence[Path]) -> Iterator[tuple[Place, Row]]:
        folders = [self._split(path) for path in paths]
        return super().rows(folders)

    def records(self, path: Path) -> Iterator[tuple[Place, Any]]:
        self._subject = self.subject_of(path)
        self._before = self._examples(path)
        return self.cells(path, self.report)

    def row(self, record: list[str], place: Place) -> Row:
        question = Question.of(record)
        return {
            "query": self._before + self.asked(question),
            "reference": question.answer,
            "choices": list(question.options),
            "scorer": "multiple_choice",
            "category": self._subject,
        }

    def _split(self, path: Path) -> Path:
        """Of a folder with splits, the one that is asked for."""
        split = path / self.options.split
        return split if split.is_dir() else path

    def _examples(self, path: Path) -> str:
        """What stands in front of each question of a file. Raises ConfigurationError where there
        are fewer examples than asked for."""
        shots = self.options.shots
        if not shots:
            return ""
        folder = self.options.dev or path.parent.parent / "dev"
        name = self.dev_name(self._subject)
        dev = folder / name
        if not dev.exists() and (folder / f"{name}.gz").exists():
            dev = folder / f"{name}.gz"
        if not dev.exists():
            raise ConfigurationError(
                f"{path}: shots={shots} needs the examples {dev}, which is not there; "
                "--option dev=FOLDER names another folder"
            )
        examples: list[str] = []
        for place, cells in self.cells(dev, Report()):
            if len(examples) < shots:
                try:
                    examples.append(self.example(Question.of(cells)))
                except LeftOut as fault:
                    raise ConfigurationError(f"{place}: {fault.kind}: {fault.detail}") from None
        if len(examples) < shots:
            raise ConfigurationError(f"{dev} has {len(examples)} examples, not {shots}")
        return self.heading(self._subject) + "".join(examples)
