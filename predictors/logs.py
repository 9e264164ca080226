"""What callers and other servers sent never writes a log line of its own.

A model name, a path, a header or another server's message may hold a line feed, or a terminal's
control sequences. They are escaped here, in every record of every logger, not where they are
logged.
"""

import logging
import os
import sys
import traceback
from typing import Final

from predictors.errors import ConfigurationError, known
from predictors.one_line import one_line

LOG_FORMAT: Final = "HEM_LOG_FORMAT"  # of servers and commands alike
TEXT, JSON = "text", "json"
FORMATS: Final = (JSON, TEXT)
_as_json: Final[set[str]] = set()
_INDENT: Final = "  "


class OneLineRecord(logging.LogRecord):
    """A record whose message is one line; the lines of a traceback begin with blanks."""

    def getMessage(self) -> str:
        return one_line(super().getMessage().rstrip("\n"))

    @property
    def exc_text(self) -> str | None:
        """What a Formatter appends, and would otherwise make itself."""
        if not self.exc_info or self.exc_info[0] is None:
            return None
        lines = "".join(traceback.format_exception(*self.exc_info)).rstrip("\n").split("\n")
        return "\n".join(_INDENT + one_line(line) for line in lines)

    @exc_text.setter
    def exc_text(self, text: str | None) -> None:
        """Formatters keep theirs here, for the next handler."""


def install(log_format: str = "") -> None:
    """From now on, for all loggers of this process. Nor does a character that the terminal's
    encoding lacks make a record fail.

    `log_format` is one of FORMATS; empty: what HEM_LOG_FORMAT says, else text. Raises
    ConfigurationError where that is none of them.
    """
    chosen = log_format or environment_format()
    if chosen not in FORMATS:
        raise ConfigurationError(f"{LOG_FORMAT} {chosen!r:.40}: {known(chosen, FORMATS)}")
    logging.setLogRecordFactory(OneLineRecord)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if chosen == JSON:
        from predictors.json_log import log_as_json

        os.environ.setdefault("TQDM_DISABLE", "1")  # bars of progress, which transformers draws
        level = os.environ.get("KSERVE_LOGLEVEL", "INFO").upper()  # kserve's own variable
        log_as_json({"kserve": level, "uvicorn": "INFO"})
        _as_json.add(JSON)


def environment_format() -> str:
    return os.environ.get(LOG_FORMAT) or TEXT


def last_words(text: str) -> None:
    """On stderr, why this process ends."""
    if not _as_json and environment_format() == JSON:  # what is wrong was found before `install`
        install(JSON)
    if _as_json:
        logging.getLogger("kserve.hem").critical("%s", text)
    else:
        print(one_line(text), file=sys.stderr, flush=True)
