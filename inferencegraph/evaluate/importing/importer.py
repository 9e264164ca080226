"""What an importer is: files of one format in, rows out, one at a time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict

from inferencegraph.evaluate.importing.files import json_records
from inferencegraph.evaluate.importing.report import LeftOut, Place, Report
from inferencegraph.evaluate.importing.rows import Pair, Row
from predictors.errors import ConfigurationError

JSON_NAMES: Final = (".jsonl", ".json", ".ndjson", ".jsonl.gz", ".json.gz", ".ndjson.gz")


class ImportOptions(BaseModel):
    """Base of every format's own options; values arrive as strings."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Reading:
    """What an import has beside its files. `scratch`: a folder for files of its own, on a disk that
    the rows fit on. `on_read` is told of bytes as they are read."""

    scratch: Path
    report: Report = field(default_factory=Report)
    pair: Pair = field(default_factory=Pair)
    keep_system: bool = True
    on_read: Callable[[int], object] | None = None


class Importer(ABC):
    """One instance reads the files of one import."""

    Options: ClassVar[type[ImportOptions]] = ImportOptions

    def __init__(self, options: Any, reading: Reading) -> None:
        self.options = options
        self.reading = reading
        self.report = reading.report
        self.pair = reading.pair

    @abstractmethod
    def rows(self, paths: Sequence[Path]) -> Iterator[tuple[Place, Row]]:
        """Tells the report of each record that it reads. Raises ConfigurationError for a file that
        can't be read, or that is of another format."""


class RecordImporter(Importer):
    """Of formats where each record becomes a row, or none."""

    names: ClassVar[tuple[str, ...]] = JSON_NAMES

    def rows(self, paths: Sequence[Path]) -> Iterator[tuple[Place, Row]]:
        for path in files_of(paths, self.names):
            for place, record in self.records(path):
                self.report.read += 1
                try:
                    row = self.row(record, place)
                except LeftOut as fault:
                    self.report.leave_out(place, fault)
                else:
                    yield place, row

    def records(self, path: Path) -> Iterator[tuple[Place, Any]]:
        """Those of one file; JSON objects unless a format has others."""
        return json_records(path, self.report, self.reading.on_read)

    @abstractmethod
    def row(self, record: Any, place: Place) -> Row:
        """Raises LeftOut. `place` is for notes alone."""


def files_of(paths: Sequence[Path], names: tuple[str, ...]) -> Iterator[Path]:
    """The files themselves, and of a folder those whose names end in one of `names`, sorted.

    Raises ConfigurationError for a folder without such a file.
    """
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(file for file in path.iterdir() if file.name.endswith(names))
        if not found:
            raise ConfigurationError(f"{path} has no file that ends in {' or '.join(names)}")
        yield from found
