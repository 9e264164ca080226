"""What stands in front of kserve's routes: body limit, well-formed JSON, cancellation, paths.

kserve has no body limit, answers some malformed bodies with 500, goes on computing for a client
that has left, and knows neither HEAD nor the versions that V2's paths may name. This ASGI layer
mends these before kserve sees the request.
"""

import asyncio
import re
from typing import Final

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from predictors.contract.openai.errors import OPENAI_PATHS, error_body
from predictors.errors import HEMError, PayloadTooLarge
from predictors.serving.body import as_v2, inflate

# Every model here has one version, whatever the client calls it; over gRPC kserve ignores it, too.
VERSION: Final = re.compile(r"(/v2/models/[^/]+)/versions/[^/]+(?=/|$)")
REWRITTEN: Final = (b"content-type", b"content-encoding", b"content-length")


class RequestGate:
    """Checks the body of each POST, then runs the app, and cancels it when the client leaves.

    `cancel_on_disconnect` costs a task per request: leave it off where answers take no time. Those
    of OpenAI's API always do.
    """

    def __init__(
        self, app: ASGIApp, max_body_bytes: int, cancel_on_disconnect: bool = True
    ) -> None:
        self.app = app
        self.max_body_bytes = max_body_bytes
        self.cancel_on_disconnect = cancel_on_disconnect

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        scope = _with_plain_path(scope)
        if scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        try:
            body = await self._read(headers, receive)
            if body is None:
                return
            received = body
            if encodings := headers.get(b"content-encoding"):
                body = inflate(encodings, body, self.max_body_bytes)
            content_type, body = as_v2(headers, body)
        except HEMError as error:
            await _send_error(send, error, in_openai=scope["path"] in OPENAI_PATHS)
            return
        if body is not received or content_type != headers.get(b"content-type"):
            scope = {**scope, "headers": _described(scope["headers"], content_type, body)}
        pending: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return pending.pop() if pending else await receive()

        if self.cancel_on_disconnect or scope["path"] in OPENAI_PATHS:
            await self._run_until_disconnect(scope, replay, receive, send)
        else:
            await self.app(scope, replay, send)

    async def _read(self, headers: dict[bytes, bytes], receive: Receive) -> bytes | None:
        """The whole body, None where the client left. Raises PayloadTooLarge."""
        limit = self.max_body_bytes
        declared = headers.get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > limit:
            raise PayloadTooLarge(f"the body has {int(declared)} bytes; the limit is {limit}")
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            if size > limit:
                raise PayloadTooLarge(f"the body has more bytes than the limit of {limit}")
            if not message.get("more_body", False):
                return b"".join(chunks)

    async def _run_until_disconnect(
        self, scope: Scope, replay: Receive, receive: Receive, send: Send
    ) -> None:
        request = asyncio.current_task()
        assert request is not None
        left = False

        async def watch() -> None:
            nonlocal left
            while (await receive())["type"] != "http.disconnect":
                pass
            left = True
            request.cancel()

        watcher = asyncio.create_task(watch())
        try:
            await self.app(scope, replay, send)
        except asyncio.CancelledError:
            if not left:
                raise
            request.uncancel()
        finally:
            watcher.cancel()


async def _send_error(send: Send, error: HEMError, in_openai: bool) -> None:
    """Answers `{"error": ...}` with the error's status, and closes the connection.

    The rest of a refused body is not read, so the connection can't be used again.
    """
    body = orjson.dumps(error_body(error) if in_openai else {"error": str(error)})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_plain_path(scope: Scope) -> Scope:
    """HEAD as GET, whose body the server leaves out, and a path without the model's version."""
    if scope["method"] == "HEAD":
        scope = {**scope, "method": "GET"}
    if "/versions/" in scope["path"]:
        path = VERSION.sub(r"\1", scope["path"])
        scope = {**scope, "path": path, "raw_path": path.encode()}
    return scope


def _described(
    headers: list[tuple[bytes, bytes]], content_type: bytes, body: bytes
) -> list[tuple[bytes, bytes]]:
    """The headers of the body as it is now."""
    kept = [(name, value) for name, value in headers if name not in REWRITTEN]
    return [
        *kept,
        (b"content-type", content_type),
        (b"content-length", str(len(body)).encode()),
    ]
