"""Why vLLM did not start, in one line.

Its model is loaded in processes of its own; when one of them fails, this process hears only
"Engine core initialization failed. See root cause above", and the cause is in that process's log.
So while it loads, vLLM's logging also writes its errors to a file that is read here.
"""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from predictors.errors import first_line

ERRORS = "errors.log"
# The last line of a traceback: `RuntimeError: ...`, `torch.OutOfMemoryError: ...`.
_RAISED = re.compile(r"(?:^|\s)([A-Za-z_][\w.]*(?:Error|Exception|Interrupt)): (.+)$")
# Some of vLLM's errors list all that it knows.
LONGEST = 300
_SEEN_ELSEWHERE = ("initialization failed", "See root cause", "See stack trace", "cancelled")


class Failures:
    """The errors that vLLM's processes log, from `logging_config` until `close`."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    def logging_config(self, config: dict[str, Any]) -> Path:
        """A file with the `dictConfig` given, plus a handler for errors."""
        folder = self._folder = Path(tempfile.mkdtemp(prefix="vllm-"))
        handler = {
            "class": "logging.FileHandler",
            "filename": str(folder / ERRORS),
            "level": "ERROR",
            "delay": True,
        }
        loggers = {
            name: {**logger, "handlers": [*logger.get("handlers", []), "failures"]}
            for name, logger in config["loggers"].items()
        }
        handlers = {**config["handlers"], "failures": handler}
        path = folder / "logging.json"
        path.write_text(json.dumps({**config, "handlers": handlers, "loggers": loggers}))
        return path

    def cause(self, error: Exception) -> str:
        """What a process of vLLM's raised first, else what `error` says."""
        for line in self._logged().splitlines():
            raised = _RAISED.search(line)
            if raised and not any(words in raised[2] for words in _SEEN_ELSEWHERE):
                return _cut(raised[2])
        return _said(error)

    def close(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _logged(self) -> str:
        file = self._folder / ERRORS if self._folder is not None else None
        return file.read_text(errors="replace") if file is not None and file.exists() else ""


def _said(error: Exception) -> str:
    said = first_line(error)
    if isinstance(error, ValidationError):
        fault = error.errors(include_url=False)[0]
        said = fault["msg"].removeprefix("Value error, ").splitlines()[0]
        if fault["loc"]:
            said = f"{fault['loc'][0]} {fault['input']!r}: {said}"
    return _cut(said)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
