"""Which of a client's headers reach the steps: by default none, by PROPAGATE_HEADERS those that
match one of its regular expressions."""

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

ENVIRONMENT: Final = "PROPAGATE_HEADERS"

# They describe one connection or one body; each call of a step has its own.
_NEVER: Final = frozenset(
    {"host", "content-length", "transfer-encoding", "trailer", "connection", "keep-alive"}
    | {"expect", "te", "upgrade", "proxy-connection"}
)

log = logging.getLogger(__name__)


def patterns_from(environ: Mapping[str, str]) -> tuple[str, ...]:
    """As KServe's router splits them: at commas, spaces kept. Unset passes none, empty all."""
    text = environ.get(ENVIRONMENT)
    return () if text is None else tuple(text.split(","))


class HeaderFilter:
    """A pattern matches anywhere in the name as Go writes it (`X-Request-Id`), case counts.

    One that doesn't compile is logged and left out, as in KServe.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns = list(_compiled(patterns))

    def __call__(self, raw: Sequence[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
        if not self._patterns:
            return []
        named = ((self._name(name), value) for name, value in raw)
        return [(name, value.decode("latin-1")) for name, value in named if name is not None]

    def _name(self, raw: bytes) -> str | None:
        """The name in which it is passed on, or None."""
        name = "-".join(part.capitalize() for part in raw.decode("latin-1").split("-"))
        passes = any(pattern.search(name) for pattern in self._patterns)
        return name if passes and name.lower() not in _NEVER else None


def _compiled(patterns: Iterable[str]) -> Iterable["re.Pattern[str]"]:
    for pattern in patterns:
        try:
            yield re.compile(pattern)
        except re.error as error:
            log.error("%s: can't compile %r: %s; left out", ENVIRONMENT, pattern, error)
