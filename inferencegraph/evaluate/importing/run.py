"""`hem import`: from files of a format to one file of rows."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from pydantic import ValidationError

from inferencegraph.evaluate.importing import FORMATS
from inferencegraph.evaluate.importing.drawing import Reservoir, Seen
from inferencegraph.evaluate.importing.importer import Importer, Reading
from inferencegraph.evaluate.importing.redacting import Redact, RowRedactor
from inferencegraph.evaluate.importing.report import LeftOut, Place, Report
from inferencegraph.evaluate.importing.rows import Pair, Row
from predictors.errors import ConfigurationError, first_fault, known
from predictors.jsonl import MAX_QUERY_BYTES, writing


@dataclass(frozen=True, slots=True)
class Job:
    """`options` are the format's own, "name=value". `limit` rows are drawn by `seed`; `dedupe`
    leaves out queries that came before; `strict` ends at the first record that can't be a row.
    `redact`: what becomes of private items, as PrivacyGuard with `redact_parameters` finds them."""

    format: str
    paths: Sequence[Path]
    out: Path
    options: Sequence[str] = ()
    pair: Pair = field(default_factory=Pair)
    keep_system: bool = True
    limit: int | None = None
    seed: int = 0
    dedupe: bool = False
    strict: bool = False
    force: bool = False
    redact: Redact | None = None
    redact_parameters: str = ""


def import_rows(job: Job, on_read: Callable[[int], object] | None = None) -> Report:
    """Writes `job.out` and says what became of the records. `on_read` is told of bytes as they are
    read. Raises ConfigurationError for bad options, unreadable files and where there is not one
    row; then nothing is written."""
    if job.out.exists() and not job.force:
        raise ConfigurationError(f"{job.out} exists; choose another --out, or give --force")
    if job.out.is_dir():
        raise ConfigurationError(f"{job.out} is a folder")
    for path in job.paths:
        if path.exists() and job.out.exists() and path.samefile(job.out):
            raise ConfigurationError(f"{job.out} is one of the files to import")
    redactor = RowRedactor(job.redact, job.redact_parameters) if job.redact else None
    report = Report(job.strict, redactor.text, redactor.kinds) if redactor else Report(job.strict)
    reading = Reading(job.out.parent, report, job.pair, job.keep_system, on_read)
    importer = make_importer(job.format, job.options, reading)
    with writing(job.out) as file:
        lines = _lines(importer.rows(job.paths), report, job.dedupe, redactor)
        if job.limit is not None:
            lines = _drawn(lines, job.limit, job.seed)
        for line in lines:
            file.write(line)
            report.written += 1
        if not report.written:
            raise ConfigurationError(_nothing(job, report))
    return report


def make_importer(name: str, options: Sequence[str], reading: Reading) -> Importer:
    """Raises ConfigurationError: one line that names the format or the option."""
    kind = FORMATS.load(name)
    values: dict[str, str] = {}
    for option in options:
        key, equals, value = option.partition("=")
        if not equals or not key.strip():
            raise ConfigurationError(f"--option {option!r} must be name=value")
        values[key.strip()] = value
    fields = kind.Options.model_fields
    for option in values.keys() - fields.keys():
        raise ConfigurationError(f"{name} has no option {option!r}; {known(option, fields)}")
    try:
        return kind(kind.Options.model_validate(values), reading)
    except ValidationError as error:
        option, fault, value = first_fault(error)
        raise ConfigurationError(f"{name}: option {option} can't be {value!r}: {fault}") from None


def _lines(
    rows: Iterable[tuple[Place, Row]], report: Report, dedupe: bool, redactor: RowRedactor | None
) -> Iterator[bytes]:
    """Rows as they are written: with an id of their own and a query that models can read."""
    stems: dict[Path, str] = {}
    names, queries = Seen(), Seen()
    for place, row in rows:
        try:
            _check_query(row)
            if redactor is not None:
                row = redactor.row(row)
            if dedupe and not queries.add(row.get("query") or str(row["inputs"])):
                raise LeftOut("a query that came before")
            stem = stems.get(place.path)
            if stem is None:
                stem = stems[place.path] = _stem(place.path)
            name = _name(row, f"{stem}-{place.number}", place, names, report)
            line = orjson.dumps({"id": name} | row | {"id": name}) + b"\n"
        except TypeError as error:  # a lone surrogate, or a whole number of more than 64 bits
            report.leave_out(place, LeftOut("can't be written as JSON", str(error)))
        except LeftOut as fault:
            report.leave_out(place, fault)
        else:
            if row.get("truncated"):
                report.note(place, "with an answer that was cut off")
            yield line


def _check_query(row: Row) -> None:
    query = row.get("query")
    if query is None and "inputs" in row:
        return
    if not isinstance(query, str) or not query.strip():
        raise LeftOut("an empty query")
    if 4 * len(query) > MAX_QUERY_BYTES and len(query.encode(errors="replace")) > MAX_QUERY_BYTES:
        raise LeftOut("a query that is too long", f"it has more than {MAX_QUERY_BYTES} bytes")


def _name(row: Row, made: str, place: Place, names: Seen, report: Report) -> str | int:
    """The row's id, or `made` where it has none. One that came before is made another."""
    name = row.get("id")
    if isinstance(name, bool) or not isinstance(name, str | int) or name == "":
        name = made
    if names.add(_key(name)):
        return name
    report.note(place, "with an id that came before, so it got another", repr(name))
    again, number = f"{name} ({made})", 1
    while not names.add(_key(again)):
        number += 1
        again = f"{name} ({made}, {number})"
    return again


def _key(name: str | int) -> str:
    """Apart for 1 and "1", which readers of rows take for two."""
    return name if isinstance(name, str) else f"\0{name}"


def _stem(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).stem


def _drawn(lines: Iterable[bytes], limit: int, seed: int) -> Iterator[bytes]:
    reservoir = Reservoir(limit, seed)
    for line in lines:
        reservoir.add(line)
    yield from reservoir.lines()


def _nothing(job: Job, report: Report) -> str:
    files = ", ".join(map(str, job.paths[:3])) + (", ..." if len(job.paths) > 3 else "")
    if not report.read:
        return f"{files}: no records"
    told = "; ".join(report.lines())
    return f"{files}: none of {report.read} records can become a row of {job.format}: {told}"


def sizes(paths: Sequence[Path]) -> int:
    """Bytes of the files, and of those in folders; 0 for what can't be told."""
    total = 0
    for path in paths:
        for file in path.rglob("*") if path.is_dir() else (path,):
            total += file.stat().st_size if file.is_file() else 0
    return total
