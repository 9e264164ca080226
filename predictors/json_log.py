"""Lines of a log as JSON objects, one a line, for what collects logs."""

import logging
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final

import orjson

from predictors.one_line import one_line
from predictors.passed_on import REQUEST_ID, passed_on, shown_id
from predictors.tracing.spans import trace_ids

_BEGINS: Final = '{"time":'


class JSONLines(logging.Formatter):
    """`time` (UTC), `level`, `logger`, `message`; `request_id`, `trace_id` and `span_id` where a
    request is being served; `exception`, with its traceback."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        line: dict[str, Any] = {
            "time": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if identity := shown_id(passed_on(REQUEST_ID)):
            line["request_id"] = identity
        line |= trace_ids()
        if record.exc_info and record.exc_info[0] is not None:
            told = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            line["exception"] = "\n".join(map(one_line, told.split("\n")))
        return _dumps(line)


def log_as_json(levels: dict[str, int | str]) -> None:
    """All that this process says from now on, in the place of text: what it logs, its warnings, and
    why it ends. `levels` are those of loggers by name."""
    handler = logging.StreamHandler()
    handler.setFormatter(JSONLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(True)
    sys.excepthook = _end


def message_of(line: str) -> str:
    """Of a line in either format."""
    if not line.startswith(_BEGINS):
        return line
    try:
        return str(orjson.loads(line)["message"])
    except (ValueError, KeyError, TypeError):
        return line


def _end(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("kserve.hem").critical("ended by %s", kind.__name__, exc_info=error)


def _dumps(line: dict[str, Any]) -> str:
    try:
        return orjson.dumps(line).decode()
    except orjson.JSONEncodeError:  # halves of pairs
        escaped = {k: str(v).encode("utf-8", "backslashreplace").decode() for k, v in line.items()}
        return orjson.dumps(escaped).decode()
