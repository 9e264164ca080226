"""Why vLLM did not start, in one line.

Its model is loaded in processes of its own; when one of them fails, this process hears only
"Engine core initialization failed. See root cause above", and the cause is in that process's log.
So while it loads, vLLM's logging also writes its errors to a file that is read here.
"""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from predictors.errors import first_line

# The last line of a traceback: `RuntimeError: ...`, `torch.OutOfMemoryError: ...`.
_RAISED = re.compile(r"(?:^|\s)([A-Za-z_][\w.]*(?:Error|Exception|Interrupt)): (.+)$")
# Some of vLLM's errors list all that it knows.
LONGEST = 300
_SEEN_ELSEWHERE = ("initialization failed", "See root cause", "See stack trace", "cancelled")


class Failures:
    """The errors that vLLM's processes log, in a folder that is gone after `close`."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vllm-")
        self._file = Path(self._folder.name) / "errors.log"

    def logging_config(self, config: dict[str, Any]) -> Path:
        """A file with the `dictConfig` given, plus a handler for errors."""
        handler = {
            "class": "logging.FileHandler",
            "filename": str(self._file),
            "level": "ERROR",
            "delay": True,
        }
        loggers = {
            name: {**logger, "handlers": [*logger.get("handlers", []), "failures"]}
            for name, logger in config["loggers"].items()
        }
        handlers = {**config["handlers"], "failures": handler}
        path = Path(self._folder.name) / "logging.json"
        path.write_text(json.dumps({**config, "handlers": handlers, "loggers": loggers}))
        return path

    def cause(self, error: Exception) -> str:
        """What a process of vLLM's raised first, else what `error` says."""
        logged = self._file.read_text(errors="replace") if self._file.exists() else ""
        for line in logged.splitlines():
            raised = _RAISED.search(line)
            if raised and not any(words in raised[2] for words in _SEEN_ELSEWHERE):
                return _cut(raised[2])
        return _said(error)

    def close(self) -> None:
        self._folder.cleanup()


def _said(error: Exception) -> str:
    said = first_line(error)
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in fault["loc"])
        said = fault["msg"].removeprefix("Value error, ").splitlines()[0]
        said = f"{name} {fault['input']!r}: {said}" if name else said
    return _cut(said)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
