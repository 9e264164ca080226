"""What another server has collected, as its store has it: the body of POST /feedback/records, and
of `hem feedback push`."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, Final, TypeVar

import orjson
from pydantic import TypeAdapter, ValidationError

from predictors.contract import is_number
from predictors.errors import InvalidRequest, PayloadTooLarge, first_fault
from transformers_hem.feedback.keeping import Unit
from transformers_hem.feedback.records import YEAR_9999, Decided, Feedback, as_row
from transformers_hem.feedback.tables import DECISIONS, FEEDBACK

R = TypeVar("R", Decided, Feedback)

MOST: Final = 1000  # records of one body
_TABLES: Final = {"decisions": DECISIONS, "feedback": FEEDBACK}
_FIELDS: Final = {
    "decisions": {each.name for each in fields(Decided)},
    "feedback": {each.name for each in fields(Feedback)},
}
_DECISIONS: Final = TypeAdapter(list[Decided])
_FEEDBACK: Final = TypeAdapter(list[Feedback])
_TEXTS: Final = ("query", "answer")
_NAMED: Final = ("key", "origin", "request_id")
_SHARES: Final = ("shadow_share", "score", "rating", "edge_score", "cloud_score")
_TIMES: Final = ("at", "said_at")


def pushed_body(decisions: Sequence[Decided], feedback: Sequence[Feedback]) -> bytes:
    return orjson.dumps(
        {
            "decisions": [_plain(as_row(each)) for each in decisions],
            "feedback": [_plain(as_row(each)) for each in feedback],
        }
    )


def read_pushed(content: bytes, *, keeps_text: bool) -> Unit:
    """Texts are left out where they may not be kept here. Raises InvalidRequest, which names the
    record and its field; PayloadTooLarge."""
    try:
        body = orjson.loads(content or b"null")
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not valid JSON: {error}") from None
    if not isinstance(body, Mapping) or body.keys() - _TABLES.keys():
        raise InvalidRequest('send {"decisions": [...], "feedback": [...]}')
    rows = {name: body.get(name, []) for name in _TABLES}
    for name, some in rows.items():
        if not isinstance(some, list) or not all(isinstance(row, dict) for row in some):
            raise InvalidRequest(f"{name} must be a list of objects")
    if sum(map(len, rows.values())) > MOST:
        raise PayloadTooLarge(f"more than {MOST} records in one request")
    return Unit(
        _records("decisions", _DECISIONS, rows["decisions"], keeps_text),
        _records("feedback", _FEEDBACK, rows["feedback"], keeps_text),
        pushed=True,
    )


def _records(
    name: str, kind: TypeAdapter[list[R]], rows: list[dict[str, Any]], keeps_text: bool
) -> list[R]:
    for number, row in enumerate(rows):
        if others := sorted(row.keys() - _FIELDS[name]):
            raise InvalidRequest(f"{name}[{number}]: {others[0]!r} is not known")
        _check_lengths(name, number, row)
        if row.get("features") is not None:
            row["features"] = _bytes(row["features"], f"{name}[{number}].features")
        _check_values(f"{name}[{number}]", row)
        for text in () if keeps_text else _TEXTS:
            if text in row:
                row[text] = None
    try:
        return kind.validate_python(rows)
    except ValidationError as error:
        where, message, _ = first_fault(error)
        index, _, field = where.partition(".")
        raise InvalidRequest(f"{name}[{index}].{field}: {message}") from None


def _check_values(where: str, row: Mapping[str, Any]) -> None:
    """What no server of ours can have kept would end a retraining, or a report, much later."""
    for field in _NAMED:
        if row.get(field) == "":
            raise InvalidRequest(f"{where}.{field}: is empty")
    propensity = row.get("propensity", 1)
    if not (is_number(propensity) and 0 < propensity <= 1):
        raise InvalidRequest(f"{where}.propensity: must be above 0, and at most 1")
    for field in _SHARES:
        value = row.get(field)
        if value is not None and not (is_number(value) and 0 <= value <= 1):
            raise InvalidRequest(f"{where}.{field}: must be from 0 to 1")
    for field in _TIMES:
        value = row.get(field)
        if value is not None and not (is_number(value) and 0 <= value < YEAR_9999):
            raise InvalidRequest(f"{where}.{field}: must be seconds since 1970")


def _check_lengths(name: str, number: int, row: Mapping[str, Any]) -> None:
    """As the tables have them; SQLite would not mind. PostgreSQL knows no NUL."""
    for column in _TABLES[name].columns:
        value = row.get(column.name)
        if not isinstance(value, str):
            continue
        most = getattr(column.type, "length", None)
        if "\0" in value or (most is not None and len(value) > most):
            where = f"{name}[{number}].{column.name}"
            if "\0" in value:
                raise InvalidRequest(f"{where}: has a NUL character")
            raise InvalidRequest(f"{where}: has {len(value)} characters; at most {most}")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value
        for name, value in row.items()
    }


def _bytes(value: Any, where: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise InvalidRequest(f"{where}: is not base64") from None
