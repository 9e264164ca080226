"""Stands in front of a service, passes calls on, and plays a fault while it is told to.

Its listener mirrors the service's: while that refuses connections, so does this.
"""

import asyncio
import contextlib
import ssl
import threading
from collections.abc import Awaitable, Coroutine
from typing import Any, Final, TypeVar

import uvloop

from tests.soak.network import Network
from tests.soak.wire import LONGEST_HEAD, Message, read_message, reset
from tests.soak.wire_faults import FAULTS, PLAUSIBLE, Fault, Leave, delayed, send

T = TypeVar("T")

MIRROR_SECONDS: Final = 0.05
_GONE: Final = (asyncio.IncompleteReadError, ConnectionError, TimeoutError, Leave)


class FaultyProxy:
    """`target` may change while it runs; `url` is where to call. Called in its own loop only,
    except for `play`, `heal` and `aim`, which any thread may call."""

    def __init__(self, network: Network, context: ssl.SSLContext | None = None) -> None:
        self._network, self._context = network, context
        self._bound = network.listener()
        self.host, self.port = network.address, int(self._bound.getsockname()[1])
        self.url = f"{'https' if context else 'http'}://{self.host}:{self.port}"
        self.target = ("127.0.0.1", 0)
        self._fault: Fault | None = None
        self._marker = b""
        self._server: asyncio.Server | None = None
        self._playing: set[asyncio.Task[Any]] = set()
        self._mirror: asyncio.Task[None] | None = None

    def aim(self, port: int) -> None:
        self.target = ("127.0.0.1", port)

    def play(self, fault: str, marker: bytes = b"") -> None:
        """`marker`: for requests alone that have it in their body."""
        self._marker, self._fault = marker, FAULTS.get(fault) or PLAUSIBLE[fault]

    def heal(self) -> None:
        """Passes calls on again; connections that the fault would hold for ever are reset."""
        held = [] if self._fault is delayed else list(self._playing)
        self._fault = None
        for task in held:
            task.get_loop().call_soon_threadsafe(task.cancel)

    async def listen(self) -> None:
        bound, self._bound = self._bound or self._network.listener(self.port), None
        self._server = await asyncio.start_server(
            self._connection, sock=bound, ssl=self._context, limit=LONGEST_HEAD, backlog=1024
        )

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        caller, service = Caller(reader, writer), Service(self)
        try:
            with contextlib.suppress(*_GONE):
                while True:
                    await self._serve(await caller.request(), caller, service)
        finally:
            service.close()
            writer.close()

    async def _serve(self, request: Message, caller: "Caller", service: "Service") -> None:
        if self._fault is not None and self._marker in request.body:
            await caller.until_it_leaves(self._played(self._fault, request, caller, service))
            return
        try:
            answer = await caller.until_it_leaves(service.ask(request))
        except ConnectionRefusedError:
            self.refuse()
            reset(caller.writer)
            raise
        await send(caller.writer, answer)

    async def _played(
        self, fault: Fault, request: Message, caller: "Caller", service: "Service"
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._playing.add(task)
        try:
            await fault(lambda: service.ask(request), caller.writer)
        except asyncio.CancelledError:
            reset(caller.writer)
            raise Leave from None
        finally:
            self._playing.discard(task)

    def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    def refuse(self) -> None:
        """No new connections until the service takes them."""
        if self._server is not None and self._mirror is None:
            self.close()
            self._mirror = asyncio.create_task(self._until_it_listens())

    async def _until_it_listens(self) -> None:
        while True:
            await asyncio.sleep(MIRROR_SECONDS)
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(*self.target)
                writer.close()
                break
        await self.listen()
        self._mirror = None


class Caller:
    """One connection to the proxy."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._reader = reader
        self._early = b""

    async def request(self) -> Message:
        early, self._early = self._early, b""
        read = await read_message(self._reader)
        return Message(early + read.head, read.body)

    async def until_it_leaves(self, work: Coroutine[Any, Any, T]) -> T:
        """The outcome of `work`, which ends when the caller closes its connection."""
        doing = asyncio.ensure_future(work)
        leaving = asyncio.ensure_future(self._reader.read(1))
        try:
            await asyncio.wait([doing, leaving], return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                self._early = leaving.result()  # of its next request
                if not self._early:
                    raise Leave
            return await doing
        finally:
            doing.cancel()
            leaving.cancel()
            await asyncio.gather(doing, leaving, return_exceptions=True)


class Service:
    """One caller's connection to what stands behind the proxy."""

    def __init__(self, proxy: FaultyProxy) -> None:
        self._proxy = proxy
        self._target: tuple[str, int] | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, request: Message) -> Message:
        """A kept connection that the service has closed is opened again, as clients do."""
        kept = self._writer is not None and self._target == self._proxy.target
        if kept:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                return await self._exchange(request)
        self.close()
        self._target = self._proxy.target
        self._reader, self._writer = await asyncio.open_connection(
            *self._target, limit=LONGEST_HEAD
        )
        return await self._exchange(request)

    async def _exchange(self, request: Message) -> Message:
        assert self._writer is not None
        self._writer.write(request.head + request.body)
        await self._writer.drain()
        answer = await read_message(self._reader)
        if b"\r\nconnection: close" in answer.head.lower():
            self.close()
        return answer

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            self._writer = None


class Proxies:
    """Runs proxies in a thread of its own, so that nobody's work slows them down."""

    def __init__(self) -> None:
        self._proxies: list[FaultyProxy] = []
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def add(self, network: Network, context: ssl.SSLContext | None = None) -> FaultyProxy:
        proxy = FaultyProxy(network, context)
        self._run(proxy.listen())
        self._proxies.append(proxy)
        return proxy

    def close(self) -> None:
        self._run(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _end(self) -> None:
        for proxy in self._proxies:
            proxy.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, work: Awaitable[None]) -> None:
        async def awaited() -> None:
            await work

        asyncio.run_coroutine_threadsafe(awaited(), self._loop).result(10)
