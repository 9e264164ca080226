"""Records of files, one in memory at a time: of JSON Lines, of JSON arrays and of CSV."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from inferencegraph.evaluate.importing.report import LeftOut, Place, Report
from predictors.errors import ConfigurationError
from predictors.jsonl import MAX_LINE_BYTES, open_content, read_lines

OnRead = Callable[[int], object] | None

_CHUNK: Final = 2**18
_BETWEEN: Final = " \t\r\n,"


def json_records(path: Path, report: Report, on_read: OnRead = None) -> Iterator[tuple[Place, Any]]:
    """The objects of JSON Lines, of one JSON array, or of a document that is written over several
    lines. Those in `data` of a list as OpenAI's API returns it come one by one.

    What is no object is left out, with its line. Raises ConfigurationError for an array that is
    damaged: what comes behind can't be read.
    """
    for place, record in _objects(path, report, on_read):
        listed = record.get("data") if isinstance(record, dict) else None
        if isinstance(listed, list) and str(record.get("object")).endswith("list"):
            yield from ((place, item) for item in listed if _is_object(item, place, report))
        elif _is_object(record, place, report):
            yield place, record


def _is_object(record: object, place: Place, report: Report) -> bool:
    if isinstance(record, dict):
        return True
    report.read += 1
    report.leave_out(place, LeftOut("not a JSON object"))
    return False


def _objects(path: Path, report: Report, on_read: OnRead) -> Iterator[tuple[Place, Any]]:
    loads = orjson.loads
    begun = False
    for number, line in read_lines(path, on_read):
        if line.isspace():
            continue
        if not begun and _is_document(line):
            yield from _document(path, on_read)
            return
        begun = True
        try:
            record = loads(line)
        except orjson.JSONDecodeError as error:
            report.read += 1
            report.leave_out(Place(path, number), not_json(line, error))
        else:
            yield Place(path, number), record


def _is_document(line: bytes) -> bool:
    """Whether the first line of a file begins an array, or an object that goes on."""
    line = line.strip()
    return line.startswith(b"[") or line == b"{"


def not_json(line: bytes, error: Exception) -> LeftOut:
    """Why a line can't be read; bytes of another encoding are named."""
    try:
        line.decode()
    except UnicodeDecodeError as fault:
        found = line[fault.start]
        return LeftOut("not UTF-8", f"byte 0x{found:02x} at byte {fault.start + 1} of the line")
    if b"\0" in line:
        return LeftOut("not JSON", f"a NUL at byte {line.index(0) + 1} of the line")
    return LeftOut("not JSON", str(error))


def _document(path: Path, on_read: OnRead) -> Iterator[tuple[Place, Any]]:
    """The elements of an array, or one object after the other. The standard library can decode a
    part of a text, which orjson can't."""
    decode = json.JSONDecoder().raw_decode
    with open_content(path, on_read) as content:
        stream = io.TextIOWrapper(content, encoding="utf-8")
        text = _more(stream, path, _CHUNK).lstrip()
        is_array = text.startswith("[")
        at, number, size, ended = int(is_array), 0, _CHUNK, False
        while True:
            while at < len(text) and text[at] in _BETWEEN:
                at += 1
            if is_array and text[at : at + 1] == "]":
                return
            if ended and at == len(text) and not is_array:
                return
            try:
                record, at = decode(text, at)
            except RecursionError:
                raise _damaged(path, number + 1, "too many levels") from None
            except ValueError as error:
                if ended or len(text) - at > MAX_LINE_BYTES:
                    raise _damaged(path, number + 1, str(error)) from None
                more = _more(stream, path, size)
                text, at, ended = text[at:] + more, 0, not more
                size *= 2  # an element that is longer than a chunk is not decoded too often
            else:
                number += 1
                size = _CHUNK
                yield Place(path, number, "row"), record


def _more(stream: io.TextIOWrapper, path: Path, size: int) -> str:
    try:
        return stream.read(size)
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: not UTF-8: byte 0x{error.object[error.start]:02x}; `iconv` makes UTF-8 of it"
        ) from None


def _damaged(path: Path, number: int, fault: str) -> ConfigurationError:
    return ConfigurationError(
        f"{path}, row {number}: not JSON, and what comes behind can't be read: {fault}"
    )


def csv_lists(
    path: Path, report: Report, on_read: OnRead = None
) -> Iterator[tuple[Place, list[str]]]:
    """The cells of each record of a CSV file, which may have line ends in quotes. Blank lines don't
    count; a record with bytes of another encoding is left out.

    Raises ConfigurationError for a quote that does not end.
    """
    csv.field_size_limit(MAX_LINE_BYTES)
    with open_content(path, on_read) as content:
        text = io.TextIOWrapper(content, encoding="utf-8", errors="surrogateescape", newline="")
        reader = csv.reader(text)
        began = 1
        while True:
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise ConfigurationError(f"{path}, line {began}: not CSV: {error}") from None
            if cells is None:
                return
            place, began = Place(path, began), reader.line_num + 1
            if not cells:
                continue
            if fault := _other_encoding(cells):
                report.read += 1
                report.leave_out(place, fault)
                continue
            yield place, cells


def _other_encoding(cells: list[str]) -> LeftOut | None:
    joined = "".join(cells)
    try:
        joined.encode()
    except UnicodeEncodeError as error:
        found = ord(joined[error.start]) & 0xFF
        before = joined[max(0, error.start - 20) : error.start]
        return LeftOut("not UTF-8", f"byte 0x{found:02x} behind {before!r}")
    return None


def csv_records(
    path: Path, columns: tuple[str, ...], report: Report, on_read: OnRead = None
) -> Iterator[tuple[Place, Mapping[str, str]]]:
    """The same by the names in the first record, each of which holds all of `columns`; the case of
    letters and blanks around names don't count for those.

    A record of another length is left out. Raises ConfigurationError where a column is missing.
    """
    header: list[str] | None = None
    for place, cells in csv_lists(path, report, on_read):
        if header is None:
            header = _header(cells, columns, path)
            continue
        if len(cells) != len(header):
            report.read += 1
            detail = f"{len(cells)} cells, the header has {len(header)}"
            report.leave_out(place, LeftOut("another number of cells than the header", detail))
            continue
        yield place, dict(zip(header, cells, strict=True))
    if header is None:
        raise ConfigurationError(f"{path} has no rows")


def _header(cells: list[str], columns: tuple[str, ...], path: Path) -> list[str]:
    wanted = {column.lower(): column for column in columns}
    header = [wanted.get(cell.strip().lower(), cell) for cell in cells]
    missing = [column for column in columns if column not in header]
    if missing:
        there = ", ".join(" ".join(cell.split()) for cell in cells)
        raise ConfigurationError(
            f"{path}, line 1: no column {' or '.join(map(repr, missing))}; it has {there:.300}"
        )
    return header
