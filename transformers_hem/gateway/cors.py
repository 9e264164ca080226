"""Pages of other origins may call the gateway, where its settings name them."""

from collections.abc import Sequence
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from predictors.contract.openai.errors import OPENAI_PATHS, PREFIXES
from predictors.errors import ConfigurationError
from predictors.upstream.client import URL, InvalidURL
from transformers_hem.feedback.build import PATH as FEEDBACK
from transformers_hem.gateway.served import HEADERS

ALL: Final = "*"
PATHS: Final = OPENAI_PATHS | {f"{prefix}/models" for prefix in PREFIXES} | {FEEDBACK}
EXPOSED: Final = (*HEADERS, "x-request-id")


class GatewayCORS:
    """Starlette's CORS on the gateway's paths alone: the server's others are for no browser."""

    def __init__(self, app: ASGIApp, origins: Sequence[str]) -> None:
        self.app = app
        self._shared = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=["GET", "POST"],
            allow_headers=[ALL],
            expose_headers=EXPOSED,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        shared = scope["type"] == "http" and scope["path"] in PATHS
        await (self._shared if shared else self.app)(scope, receive, send)


def read_origins(text: str) -> tuple[str, ...]:
    """With commas between them. Raises ConfigurationError for what no browser sends as its origin:
    it would never match."""
    origins = tuple(name for each in text.split(",") if (name := each.strip()))
    for origin in origins:
        if origin != ALL and not _is_origin(origin):
            raise ConfigurationError(
                f"HEM_CORS_ORIGINS {origin!r} is not an origin, as https://chat.example.com: "
                "a scheme, a host in lower case, a port where it has one, and nothing behind it"
            )
    return origins


def _is_origin(text: str) -> bool:
    try:
        url = URL(text)
    except InvalidURL:
        return False
    return bool(url.scheme and url.host) and text == f"{url.scheme}://{url.netloc.decode()}"
