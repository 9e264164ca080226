"""A small Kubernetes API server on a real socket: objects as plain dicts, in memory.

It speaks what `hem` asks for, as the real one does: discovery, lists with selectors and chunks,
watches with bookmarks and 410, server-side apply with field managers and conflicts, dry runs,
strict field validation, status subresources, deletion with preconditions, and the pods' proxy.
kmock has no server-side apply, dry runs or selectors, so it would not do.
"""

import asyncio
import json
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import web

from tests.inferencegraph.cluster.api_refusals import Refusal, status
from tests.inferencegraph.cluster.api_store import Request, Store

TOKEN: Final = "a-token"
CUT: Final[tuple[int, dict[str, Any]]] = (0, {})


@dataclass(slots=True)
class Fault:
    """What happens to the next `times` requests that `of` is true for. answer: None drops the
    connection, CUT in the middle of the answer."""

    of: Callable[[Request], bool]
    answer: tuple[int, dict[str, Any]] | None
    times: int = 1
    headers: dict[str, str] = field(default_factory=dict)


class ApiServer(Store):
    """`hold`: requests that are never answered."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.faults: list[Fault] = []
        self.hold: Callable[[Request], bool] = lambda request: False
        self.port = 0
        self.changed = threading.Event()  # set by each change
        self.watched = threading.Event()  # set where somebody watches
        self._watches: set[asyncio.WriteTransport] = set()
        self._connections: set[asyncio.WriteTransport] = set()
        self._changed: asyncio.Condition
        self._loop = asyncio.new_event_loop()
        self._runner: web.AppRunner
        self._thread: threading.Thread
        super().__init__()

    # -- the test's side -----------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, context: ssl.SSLContext | None = None) -> None:
        """context: for https."""
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started, context), daemon=True)
        self._thread.start()
        assert started.wait(10)

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def end_watches(self, *, cut: bool) -> None:
        """All that are open: as after timeoutSeconds, or in the middle of the stream."""

        async def end() -> None:
            for transport in self._watches:
                if cut:
                    transport.abort()
            self._watches.clear()
            async with self._changed:
                self._changed.notify_all()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)

    def sent(self, method: str, of: str = "", *, dry_run: bool | None = None) -> list[Request]:
        return [
            each
            for each in list(self.requests)
            if each.method == method
            and of in each.path
            and dry_run in (None, each.is_dry_run)
            and "watch" not in each.query
        ]

    # -- the client's side ---------------------------------------------------------------------

    def _run(self, started: threading.Event, context: ssl.SSLContext | None) -> None:
        asyncio.set_event_loop(self._loop)

        async def begin() -> None:
            self._changed = asyncio.Condition()
            app = web.Application(client_max_size=2**26)
            app.router.add_route("*", "/{tail:.*}", self._handle)
            self._runner = web.AppRunner(app, shutdown_timeout=0.1)
            await self._runner.setup()
            await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
            self.port = self._runner.addresses[0][1]
            started.set()

        self._loop.run_until_complete(begin())
        self._loop.run_forever()
        self._loop.run_until_complete(self._end())
        self._loop.close()

    async def _end(self) -> None:
        """Watches that are still open end first."""
        watches = asyncio.all_tasks() - {asyncio.current_task()}
        for each in watches:
            each.cancel()
        await asyncio.gather(*watches, return_exceptions=True)
        await self._runner.cleanup()
        # What is behind TLS waits for the other side's farewell, and what is not sent for a reader.
        for connection in self._connections:
            connection.abort()
        await asyncio.sleep(0)  # in which they are closed

    async def _handle(self, raw: web.Request) -> web.StreamResponse:
        assert raw.transport is not None
        self._connections.add(raw.transport)
        text = await raw.read()
        body = json.loads(text) if text else None
        accept = raw.headers.get("Accept", "")
        request = Request(raw.method, raw.path, dict(raw.query), raw.content_type, accept, body)
        self.requests.append(request)
        if raw.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _json(401, status(401, "Unauthorized", "Unauthorized"))
        if (fault := self._fault_of(request)) is not None:
            return await _answered(fault, raw)
        if self.hold(request):
            await asyncio.Event().wait()
        try:
            if request.query.get("watch") == "true":
                return await self._watch(raw, request)
            answer = self.answer(request)
            if isinstance(answer, str):
                return web.Response(text=answer)
            return _json(200, answer)
        except Refusal as refusal:
            return _json(refusal.code, refusal.status)

    def _fault_of(self, request: Request) -> Fault | None:
        for fault in self.faults:
            if fault.times > 0 and fault.of(request):
                fault.times -= 1
                return fault
        return None

    async def _watch(self, raw: web.Request, request: Request) -> web.StreamResponse:
        parts = request.path.strip("/").split("/")
        version = "/".join(parts[1:2] if parts[0] == "api" else parts[1:3])
        namespace, plural = parts[-2], parts[-1]
        seen = int(request.query.get("resourceVersion") or 0)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(raw)
        transport = raw.transport
        assert transport is not None
        self._watches.add(transport)
        self.watched.set()

        async def send(kind: str, content: dict[str, Any]) -> None:
            line = json.dumps({"type": kind, "object": content}) + "\n"
            await response.write(line.encode())

        if request.query.get("allowWatchBookmarks") == "true":
            await send("BOOKMARK", {"metadata": {"resourceVersion": str(seen)}})
        while True:
            news, gone = self.news_since(seen, (version, plural, namespace), request)
            if gone:
                text = f"too old resource version: {seen} ({self.oldest})"
                await send("ERROR", status(410, "Expired", text))
                break
            for at, kind, content in news:
                seen = at
                await send(kind, content)
            async with self._changed:
                await self._changed.wait()
            if transport not in self._watches:
                break
        await response.write_eof()
        return response

    def _wake(self) -> None:
        self.changed.set()

        async def tell() -> None:
            async with self._changed:
                self._changed.notify_all()

        if self._loop.is_running():
            asyncio.run_coroutine_threadsafe(tell(), self._loop)


async def _answered(fault: Fault, raw: web.Request) -> web.Response:
    if fault.answer is not None and fault.answer is not CUT:
        code, content = fault.answer
        return web.json_response(content, status=code, headers=fault.headers)
    assert raw.transport is not None
    if fault.answer is CUT:
        half = web.StreamResponse(headers={"Content-Length": "1000"})
        await half.prepare(raw)
        await half.write(b'{"kind": ')
    raw.transport.abort()
    raise asyncio.CancelledError


def _json(code: int, content: Mapping[str, Any]) -> web.Response:
    return web.json_response(content, status=code)
