"""Whose call is served: a name that keeps cached answers of several tenants apart.

The gateway knows it, from the caller's token, and tells predictors of ours in a header; no header
of a caller becomes one, and no server of others gets it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

HEADER: Final = "x-hem-tenant"
_NAME: Final = re.compile(r"[\w.-]{1,64}", re.ASCII)

TENANT: ContextVar[str] = ContextVar("tenant", default="")


@contextmanager
def tenant(name: str) -> Iterator[None]:
    """Within it, calls are this tenant's; empty: nobody's in particular."""
    token = TENANT.set(name)
    try:
        yield
    finally:
        TENANT.reset(token)


def tenant_header() -> dict[str, str]:
    """For a call to a server of ours."""
    name = TENANT.get()
    return {HEADER: name} if name else {}


def tenant_of(headers: Mapping[str, str] | None) -> str:
    """That a call to a predictor is of. Names of headers are in lower case."""
    name = (headers or {}).get(HEADER, "")
    return name if _NAME.fullmatch(name) else ""
