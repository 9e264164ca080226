"""Why vLLM did not start, in one line.

Its model is loaded in processes of its own. When one of them fails, this process gets only
"Engine core initialization failed. See root cause above", and the cause is in that process's log.
So while the model loads, vLLM's logging also writes its errors to a file that is read here.
"""

import json
import re
import shutil
import tempfile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from predictors.errors import first_fault, first_line

ERRORS = "errors.log"
# The last line of a traceback: `RuntimeError: ...`, `torch.OutOfMemoryError: ...`.
_RAISED = re.compile(r"(?:^|\s)([A-Za-z_][\w.]*(?:Error|Exception|Interrupt)): (.+)$")
# Characters of a message that are shown: some of vLLM's errors list every supported model.
LONGEST = 300
_SEEN_ELSEWHERE = ("initialization failed", "See root cause", "See stack trace", "cancelled")


class Failures:
    """The errors that vLLM's processes log, from `logging_config` until `close`."""

    def __init__(self) -> None:
        self._folder: Path | None = None

    def logging_config(self, config: dict[str, Any]) -> Path:
        """A file with the `config` of logging's dictConfig, plus a handler for errors."""
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
        """The message of what a process of vLLM's raised first, else of `error`."""
        for line in self._logged().splitlines():
            raised = _RAISED.search(line)
            if raised and not any(words in raised[2] for words in _SEEN_ELSEWHERE):
                return cut(raised[2])
        return _shown(error)

    def close(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _logged(self) -> str:
        file = self._folder / ERRORS if self._folder is not None else None
        return file.read_text(errors="replace") if file is not None and file.exists() else ""


def _shown(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return cut(first_line(error))
    path, message, value = first_fault(error)
    reason = message.splitlines()[0]
    field = path.partition(".")[0]  # behind it are the types that pydantic tried
    return cut(f"{field} {value!r}: {reason}" if field else reason)


def cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
