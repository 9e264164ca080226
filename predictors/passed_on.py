"""What of a request's headers goes on with the calls that are made for it, and names it in logs.

Light: logs read it, too.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

REQUEST_ID: Final = "x-request-id"
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
# Headers of the request being served that an engine's own calls carry on: tracing, no credentials.
PASSED_ON: Final = frozenset({REQUEST_ID, TRACEPARENT, TRACESTATE, "x-b3-traceid"})
_BY_BYTES: Final = {name.encode(): name for name in PASSED_ON}
# What programs make, as UUIDs; a caller may put anything there.
_MADE: Final = re.compile(r"(?=[\d-]*[A-Fa-f])[0-9A-Fa-f-]{1,128}", re.ASCII)
_HASHED: Final = 6  # bytes
FORWARDED: ContextVar[Mapping[str, str]] = ContextVar("forwarded_headers", default={})  # noqa: B039


@contextmanager
def forwarded_headers(headers: Mapping[str, str] | None) -> Iterator[None]:
    """Within it, FORWARDED holds those of `headers` that calls to other servers carry on."""
    token = FORWARDED.set({k: v for k, v in (headers or {}).items() if k.lower() in PASSED_ON})
    try:
        yield
    finally:
        FORWARDED.reset(token)


def passed_on_of(raw: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Of a request's headers as ASGI has them."""
    return {known: value.decode("latin-1") for name, value in raw if (known := _BY_BYTES.get(name))}


def passed_on(name: str) -> str | None:
    """One header of the request being served, by its name in lower case."""
    forwarded = FORWARDED.get()
    if name in forwarded:
        return forwarded[name]
    return next((value for key, value in forwarded.items() if key.lower() == name), None)


def shown_id(identity: str | None) -> str:
    """A request id for traces and JSON logs: as it is where a program made it, of hexadecimal
    digits and dashes; others may be anything, and are shown as a hash, everywhere the same."""
    if not identity or _MADE.fullmatch(identity):
        return identity or ""
    told = identity.encode("utf-8", "surrogateescape")
    return f"h:{hashlib.blake2b(told, digest_size=_HASHED).hexdigest()}"
