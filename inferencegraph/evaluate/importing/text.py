"""Plain text, as inputs of Sedna's joint inference are: a query in each line of a file, or in each
file of a folder. The id is the file's name, and of lines with the line's number."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from inferencegraph.evaluate.importing.files import not_json
from inferencegraph.evaluate.importing.importer import Importer, ImportOptions
from inferencegraph.evaluate.importing.report import LeftOut, Place
from inferencegraph.evaluate.importing.rows import Row
from predictors.errors import ConfigurationError
from predictors.jsonl import MAX_QUERY_BYTES, open_content, read_lines


class TextOptions(ImportOptions):
    """`per`: what a query is; by default a line of a file that is named, and a file of a folder."""

    per: Literal["line", "file"] | None = None


class Text(Importer):
    Options: ClassVar[type[ImportOptions]] = TextOptions
    options: TextOptions

    def rows(self, paths: Sequence[Path]) -> Iterator[tuple[Place, Row]]:
        for path in paths:
            per = self.options.per or ("file" if path.is_dir() else "line")
            for file in _files(path):
                for place, content in self._texts(file, per):
                    self.report.read += 1
                    try:
                        row: Row = {"query": _decoded(content)}
                    except LeftOut as fault:
                        self.report.leave_out(place, fault)
                    else:
                        yield place, row if per == "line" else row | {"id": file.name}

    def _texts(self, path: Path, per: str) -> Iterator[tuple[Place, bytes]]:
        if per == "file":
            with open_content(path, self.reading.on_read) as content:
                yield Place(path, 1), content.read(MAX_QUERY_BYTES + 1).rstrip(b"\r\n")
            return
        for number, line in read_lines(path, self.reading.on_read):
            if not line.isspace():
                yield Place(path, number), line.rstrip(b"\r\n")


def _files(path: Path) -> list[Path]:
    """The file, or those of the folder whose names don't begin with a dot, sorted."""
    if not path.is_dir():
        return [path]
    files = sorted(f for f in path.iterdir() if f.is_file() and not f.name.startswith("."))
    if not files:
        raise ConfigurationError(f"{path} has no files")
    return files


def _decoded(content: bytes) -> str:
    if len(content) > MAX_QUERY_BYTES:
        raise LeftOut("a query that is too long", f"it has more than {MAX_QUERY_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise not_json(content, error) from None
