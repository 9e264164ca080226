"""In front of a server that listens on this machine alone: pages of the web may not call it.

A browser sends what any page asks it to, also to 127.0.0.1, where no token is asked for; the page
doesn't get to read the answer, but the call may cost money. Browsers say in each such POST which
page asks (fetch.spec.whatwg.org, "Origin header"), and no other program has to.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import orjson

if TYPE_CHECKING:  # the router's image has no starlette
    from starlette.types import ASGIApp, Receive, Scope, Send

ALL: Final = "*"
HERE: Final = ("localhost", "127.0.0.1", "::1")
FORBIDDEN: Final = 403


class OriginGate:
    """Lets programs call, pages of this machine, and those of the `allowed` origins."""

    def __init__(self, app: "ASGIApp", allowed: Collection[str] = ()) -> None:
        self.app = app
        self.allowed = frozenset(allowed)

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        if scope["type"] == "http":
            for name, value in scope["headers"]:
                if name == b"origin" and not self._may_call(value.decode("latin-1")):
                    return await _refuse(send)
        await self.app(scope, receive, send)

    def _may_call(self, origin: str) -> bool:
        if ALL in self.allowed or origin in self.allowed:
            return True
        try:
            return urlsplit(origin).hostname in HERE
        except ValueError:
            return False


async def _refuse(send: "Send") -> None:
    message = "pages of other origins may not call this server; HEM_CORS_ORIGINS names who may"
    body = orjson.dumps({"error": message})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": FORBIDDEN, "headers": headers})
    await send({"type": "http.response.body", "body": body})
