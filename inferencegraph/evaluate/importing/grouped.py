"""What importers share whose files have a record for each query and model."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

from inferencegraph.evaluate.importing.files import json_records
from inferencegraph.evaluate.importing.importer import JSON_NAMES, Importer, files_of
from inferencegraph.evaluate.importing.index import Index
from inferencegraph.evaluate.importing.report import LeftOut, Place
from inferencegraph.evaluate.importing.rows import Row, compared


class Grouped(Importer):
    """Records that are rows by themselves come first; the others are gathered on disk, by their
    query."""

    names: ClassVar[tuple[str, ...]] = JSON_NAMES

    @abstractmethod
    def whole(self, record: dict[str, Any]) -> Row | None:
        """The row of a record that is one by itself; else None. Raises LeftOut."""

    @abstractmethod
    def key(self, record: dict[str, Any]) -> str:
        """What the records of one query share. Raises LeftOut."""

    @abstractmethod
    def head(self, record: dict[str, Any]) -> Row:
        """What a row has of its query, by the first of its records. Raises LeftOut."""

    @abstractmethod
    def model(self, record: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """The model's name, and what is known of its answer, as `compared` takes it. Raises
        LeftOut."""

    def rows(self, paths: Sequence[Path]) -> Iterator[tuple[Place, Row]]:
        self.pair.require_both()
        with Index.open(self.reading.scratch) as index:
            for path in files_of(paths, self.names):
                yield from self._whole(path, index)
            index.close()
            for group in index.groups():
                place = group[0][0]
                try:
                    row = self._joined(group)
                except LeftOut as fault:
                    self.report.leave_out(place, fault)
                else:
                    yield place, row

    def _whole(self, path: Path, index: Index) -> Iterator[tuple[Place, Row]]:
        for place, record in json_records(path, self.report, self.reading.on_read):
            self.report.read += 1
            try:
                row = self.whole(record)
                if row is None:
                    index.add(self.key(record), place, record)
                    continue
            except LeftOut as fault:
                self.report.leave_out(place, fault)
            else:
                yield place, row

    def _joined(self, group: list[tuple[Place, Any]]) -> Row:
        head = self.head(group[0][1])
        models: dict[str, dict[str, Any]] = {}
        for place, record in group:
            try:
                name, known = self.model(record)
            except LeftOut as fault:
                self.report.note(place, f"with a model left out, {fault.kind}", fault.detail)
            else:
                if name in models:
                    self.report.note(place, "with two answers of one model; the first counts", name)
                else:
                    models[name] = known
        if not models:
            raise LeftOut("no model with a score")
        return head | compared(self.pair, models)
