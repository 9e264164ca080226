"""The page's files as a browser gets them: read once, and kept to this server."""

import hashlib
from pathlib import Path
from typing import Final

from fastapi import Request
from fastapi.responses import Response

STATIC: Final = Path(__file__).parent / "static"
INDEX: Final = "index.html"
TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# No script, style or call of another origin, none that stands in the page itself, and no text that
# becomes HTML: `require-trusted-types-for` makes innerHTML and the like raise.
POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
    )
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class Files:
    """Those of the folder, by their names."""

    def __init__(self, folder: Path = STATIC) -> None:
        paths = [path for path in folder.iterdir() if path.suffix in TYPES]
        self._files = {path.name: (path.read_bytes(), TYPES[path.suffix]) for path in paths}

    def answer(self, name: str, request: Request) -> Response | None:
        """None where there is no such file."""
        if name not in self._files:
            return None
        content, kind = self._files[name]
        tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        # Asked for again each time, so that a new version shows at once.
        headers = {**HEADERS, "cache-control": "no-cache", "etag": tag}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(content, media_type=kind, headers=headers)
