"""JSON Lines: the one reader and the one writer of files with a JSON object on each line.

The reader takes what other programs write: a byte order mark, Windows line ends, gzip, and U+2028
inside strings, which is no line end in JSON Lines. Both also work a line at a time, for files that
don't fit into memory.
"""

import codecs
import gzip
import io
import os
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import orjson

from predictors.contract import is_number
from predictors.errors import ConfigurationError

MAX_QUERY_BYTES = 1_000_000  # as UTF-8; no model reads that much, and one such line is a mistake
MAX_LINE_BYTES = 64 * 2**20  # a longer line is a file of another kind
_UNREADABLE = {
    codecs.BOM_UTF16_LE: "is UTF-16 text; `iconv -f UTF-16 -t UTF-8` makes UTF-8 of it",
    codecs.BOM_UTF16_BE: "is UTF-16 text; `iconv -f UTF-16 -t UTF-8` makes UTF-8 of it",
    b"{\0": "is UTF-16 text; `iconv -f UTF-16LE -t UTF-8` makes UTF-8 of it",
    b"\0{": "is UTF-16 text; `iconv -f UTF-16BE -t UTF-8` makes UTF-8 of it",
    b"\x28\xb5\x2f\xfd": "is compressed by zstd; `zstd -d` unpacks it",
    b"PK\x03\x04": "is a zip archive; unpack it",
}
# What other programs call a query.
_OTHER_NAMES = ("question", "prompt", "text", "instruction", "input")
_REFERENCES = ("reference", "answer")


def read_content(path: Path) -> bytes:
    """A file's bytes, uncompressed, without a byte order mark. Raises ConfigurationError."""
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigurationError(f"{path} is damaged gzip: {error}") from error
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror or error}") from error
    return content.removeprefix(codecs.BOM_UTF8)


@contextmanager
def open_content(path: Path, on_read: Callable[[int], object] | None = None) -> Iterator[IO[bytes]]:
    """The same as a stream. `on_read` is told of bytes of the file as they are read. Raises
    ConfigurationError, also for what goes wrong while the stream is read inside, and for what is
    not UTF-8 by its first bytes."""
    try:
        with _Told(path, on_read) as raw, io.BufferedReader(raw, 2**17) as packed:
            is_gzip = packed.peek(2)[:2] == b"\x1f\x8b"
            stream: Any = gzip.GzipFile(fileobj=packed) if is_gzip else packed
            head = stream.peek(4)[:4]
            for start, fault in _UNREADABLE.items():
                if head.startswith(start):
                    raise ConfigurationError(f"{path} {fault}")
            if head.startswith(codecs.BOM_UTF8):
                stream.read(len(codecs.BOM_UTF8))
            yield stream
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ConfigurationError(f"{path} is damaged gzip: {error}") from error
    except OSError as error:
        raise ConfigurationError(f"{path} can't be read: {error.strerror or error}") from error


class _Told(io.FileIO):
    """A file that tells how much is read of it."""

    def __init__(self, path: Path, on_read: Callable[[int], object] | None) -> None:
        super().__init__(path)
        self._on_read = on_read

    def readinto(self, buffer: Any) -> int:
        count = super().readinto(buffer) or 0
        if self._on_read is not None:
            self._on_read(count)
        return count


def read_lines(
    path: Path, on_read: Callable[[int], object] | None = None
) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line of a file, with its line end, one line in memory at a time.

    Raises ConfigurationError as `open_content` does, and for a line of more than MAX_LINE_BYTES.
    """
    with open_content(path, on_read) as content:
        number = 0
        while line := content.readline(MAX_LINE_BYTES):
            number += 1
            if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
                raise ConfigurationError(
                    f"{path}, line {number}: has more than {MAX_LINE_BYTES} bytes"
                )
            yield number, line


def read_rows(path: Path, content: bytes | None = None) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line number and object of each line that is not blank.

    `content` is the file's, for a caller that has read it already. Raises ConfigurationError that
    names the line for a line that is not a JSON object, and for a file without rows.
    """
    empty = True
    lines = read_lines(path) if content is None else enumerate(content.split(b"\n"), start=1)
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ConfigurationError(f"{path}, line {number}: not JSON: {error}") from error
        if not isinstance(row, dict):
            raise ConfigurationError(f"{path}, line {number}: must be a JSON object")
        empty = False
        yield number, row
    if empty:
        raise ConfigurationError(f"{path} has no rows")


def read_query(row: Mapping[str, Any], where: str) -> str:
    """A row's query. `where` names file and line in errors: ConfigurationError where the query is
    missing, empty or huge, or has a lone surrogate."""
    query = row.get("query")
    if not isinstance(query, str) or not query.strip():
        other = next((name for name in _OTHER_NAMES if isinstance(row.get(name), str)), None)
        hint = f"; this row has {other!r}: rename it" if "query" not in row and other else ""
        raise ConfigurationError(f"{where}: 'query' must be a non-empty string{hint}")
    try:
        size = len(query.encode())
    except UnicodeEncodeError:
        raise ConfigurationError(f"{where}: 'query' has a lone surrogate") from None
    if size > MAX_QUERY_BYTES:
        raise ConfigurationError(f"{where}: 'query' has {size} bytes; at most {MAX_QUERY_BYTES}")
    return query


def read_references(row: Mapping[str, Any], where: str) -> tuple[Any, tuple[str, ...]]:
    """A row's `reference`, or `answer`, as it stands there, and as the texts that are right: it is
    a text, a number or a list of those. None and no texts where the row has none. `where` is as
    for `read_query`."""
    name = next((name for name in _REFERENCES if row.get(name) is not None), None)
    if name is None:
        return None, ()
    value = row[name]
    values = value if isinstance(value, list) else [value]
    if not values or not all(map(_is_reference, values)):
        raise ConfigurationError(
            f"{where}: {name!r} must be a non-empty string, a number or a list of those, "
            f"not {str(value)[:80]!r}"
        )
    return value, tuple(str(item) for item in values)


def _is_reference(item: Any) -> bool:
    return bool(item.strip()) if isinstance(item, str) else is_number(item)


def require_new(name: object, seen: dict[object, int], path: Path, number: int) -> None:
    """Notes a row's id and its line in `seen`. Raises ConfigurationError where an earlier row has
    the id; None may come again."""
    if not isinstance(name, str | int | None):
        raise ConfigurationError(f"{path}, line {number}: 'id' must be a string or an integer")
    if name is not None and seen.setdefault(name, number) != number:
        raise ConfigurationError(f"{path}, line {number}: id {name!r} is line {seen[name]}'s too")


def append_line(handle: int, record: Any, path: Path) -> None:
    """One write, so that what a killed process has written, the next one reads. `handle` is of
    `path`, opened to append.

    Raises ConfigurationError where there is no room for all of it; then the file is as it was.
    """
    line = orjson.dumps(record, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n"
    before = os.fstat(handle).st_size
    try:
        whole = os.write(handle, line) == len(line)
        reason = "no room for a whole line"
    except OSError as error:
        whole, reason = False, str(error.strerror)
    if not whole:
        os.ftruncate(handle, before)
        raise ConfigurationError(f"{path} can't be written: {reason}")


def write_lines(out: Path, lines: Iterable[bytes]) -> None:
    """Writes another file, then renames it to `out`: a reader never sees half a file. Compresses
    where the name ends in .gz. Raises ConfigurationError, and then leaves `out` as it was."""
    content = b"".join(lines)
    with writing(out) as file:
        file.write(content)


@contextmanager
def writing(out: Path) -> Iterator[io.BufferedIOBase]:
    """The same as a stream: what is written inside becomes `out` at the end, unless something is
    raised inside. An OSError that is raised inside counts as one of writing."""
    aside: str | None = None
    try:
        handle, aside = tempfile.mkstemp(prefix=f".{out.name}-", suffix=".part", dir=out.parent)
        with os.fdopen(handle, "wb") as file:
            if out.suffix == ".gz":
                with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:
                    yield packed
            else:
                yield file
        os.chmod(aside, 0o644)
        os.rename(aside, out)
    except BaseException as error:
        if aside is not None:
            Path(aside).unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise ConfigurationError(f"{out} can't be written: {error.strerror}") from error
        raise
