"""Keys and passwords are struck out before anybody reads them: of URLs, of a far side's words."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from predictors.errors import HEMError, UpstreamError

# What stands before a key in an `authorization` (RFC 9110, 11.1), and in many texts.
SCHEMES: Final = frozenset({"apikey", "basic", "bearer", "digest", "key", "negotiate", "token"})
# A field with such a name holds a secret, however short.
SECRET_NAME: Final = re.compile(r"auth|cookie|cred|key|pass|secret|session|sign|token", re.I)
# Characters. A shorter secret is struck out only where it stands alone; one of SHORT at most only
# where, besides, something says that a key comes: such placeholders are in every text.
LONG: Final = 8
SHORT: Final = 3
ANNOUNCED: Final = (
    r"(?P<before>(?:key|token|secret|password|credentials?|authorization|provided|got"
    r"|apikey|basic|bearer)(?:\s+is)?[\s\"'`:=]{1,4})"
)
STRUCK: Final = "***"
MAX_REASON: Final = 300  # characters of a far side's own words in an error of ours

SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
# A parameter of a URL that is no secret and says much.
PLAIN_PARAMETER: Final = "api-version"


# Whether a far side's own words are not repeated: they may be those that it was asked, and others
# read them in logs, and in errors of a circuit breaker.
_UNREPEATED: ContextVar[bool] = ContextVar("unrepeated", default=False)


@contextmanager
def unrepeated(private: bool) -> Iterator[None]:
    """Within it, where what a far side is asked is `private`."""
    token = _UNREPEATED.set(private)
    try:
        yield
    finally:
        _UNREPEATED.reset(token)


def repeated(words: str) -> str:
    """A far side's words, or nothing."""
    return "" if _UNREPEATED.get() else words


def logged(error: HEMError) -> str:
    """For a log. What is not an UpstreamError tells its caller what it got wrong, in any words."""
    if _UNREPEATED.get() and not isinstance(error, UpstreamError):
        return type(error).__name__
    return str(error)


class Redaction:
    """Strikes out `values`, those of the headers that go with a call, and the words of each: of
    `Bearer KEY` the key alone, too."""

    def __init__(self, values: Iterable[str] = ()) -> None:
        secrets = {word for value in values for word in (value, *value.split())}
        kept = {word for word in secrets if word and word.lower() not in SCHEMES}
        kept |= {json.dumps(word)[1:-1] for word in kept}
        # The longest first: one may hold another.
        ordered = sorted(kept, key=len, reverse=True)
        long = [_anywhere_or_alone(word) for word in ordered if len(word) > SHORT]
        short = "|".join(_alone(word) for word in ordered if len(word) <= SHORT)
        self._long = re.compile("|".join(long) or r"(?!)")
        self._short = re.compile(rf"{ANNOUNCED}(?:{short or '(?!)'})", re.I)

    @classmethod
    def of(cls, *fields: Mapping[str, str]) -> "Redaction":
        """Of headers, and parameters of a URL. A short value stays readable, unless the name of its
        field announces a secret."""
        pairs = [pair for each in fields for pair in each.items()]
        return cls(v for k, v in pairs if SECRET_NAME.search(k) or len(v) >= LONG)

    def __call__(self, text: str) -> str:
        return self._short.sub(rf"\g<before>{STRUCK}", self._long.sub(STRUCK, text))

    def reason(self, text: str) -> str:
        """On one line of at most MAX_REASON characters; cut last, or half a key would stay."""
        return " ".join(self(text).split())[:MAX_REASON]


def _anywhere_or_alone(secret: str) -> str:
    return re.escape(secret) if len(secret) >= LONG else _alone(secret)


def _alone(secret: str) -> str:
    return rf"(?<!\w){re.escape(secret)}(?!\w)"


NOTHING_SECRET: Final = Redaction()


def shown_url(url: str) -> str:
    """For errors, logs and metrics: without user, password and parameters.

    A text need not be a valid URL: all before its last `@` may be a password with `/` in it.
    """
    _, at, rest = url.rpartition("@")
    scheme = SCHEME.match(url)
    where = f"{scheme.group() if scheme else ''}{STRUCK}@" if at else ""
    return where + re.split(r"[?#]", rest, maxsplit=1)[0]


def shown_value(name: str, value: object) -> object:
    """The value of an option, which may hold the password of a URL."""
    if isinstance(value, str) and (name.endswith(("url", "proxy")) or SCHEME.match(value)):
        return shown_url(value)
    return value


def secret_parameters(url: str) -> dict[str, str]:
    """Those of a URL that may be keys, by their names."""
    pairs = parse_qsl(urlsplit(url).query)
    return {name: value for name, value in pairs if name.lower() != PLAIN_PARAMETER}
