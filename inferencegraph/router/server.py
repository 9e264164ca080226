"""Serves a graph's router: alone until Ctrl-C, or beside others in one event loop."""

import asyncio
import contextlib
import errno
import math
import signal
import socket
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from typing import Any, cast

import uvicorn
import uvloop
from uvicorn.config import LOGGING_CONFIG

from inferencegraph.router.app import Router
from inferencegraph.router.spec import RouterTimeouts
from predictors.errors import ConfigurationError
from predictors.logs import JSON, environment_format
from predictors.serving.connection import Bounds, Connections
from predictors.serving.origin_gate import OriginGate

_DRAIN_SECONDS = 5.0
_HEAD_SECONDS = 20.0
_POLL_SECONDS = 0.005


class GraphServer:
    """A router on a socket that is already bound, inside the running event loop. Answers under way
    get `drain_seconds` when it stops."""

    def __init__(
        self, app: Router, bound: socket.socket, drain_seconds: float = _DRAIN_SECONDS
    ) -> None:
        host, port = bound.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._app = app
        self._socket = bound
        self._drain_seconds = drain_seconds
        self._connections = Connections(_bounds(app.timeouts))
        config = uvicorn.Config(
            OriginGate(app) if ip_address(host).is_loopback else app,
            http=cast(Any, self._connections),
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="warning",
            log_config=None if environment_format() == JSON else LOGGING_CONFIG,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=app.timeouts.server_idle or app.timeouts.server_read,
            timeout_graceful_shutdown=math.ceil(drain_seconds) + 1,  # see stop
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Returns when it answers. Raises ConfigurationError where it can't start."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            await asyncio.sleep(_POLL_SECONDS)
            if self._task.done():
                raise ConfigurationError(f"the router on {self.url} did not start")

    def leave(self) -> None:
        """From now on it is not ready, and each answer closes its connection; new ones are served
        still, as some caller's list of endpoints is always behind."""
        self._app.ready = False
        self._connections.drain(cast(Any, self._server.server_state.connections))

    async def stop(self) -> None:
        """Lets answers under way finish; those that take too long become 503."""
        self.leave()
        self._server.should_exit = True
        if self._task is not None:
            await asyncio.wait([self._task], timeout=self._drain_seconds)
            self.give_up()
            await self._task
        self._socket.close()

    def give_up(self) -> None:
        """Ends what is under way."""
        state = self._server.server_state
        self._connections.give_up(cast(Any, state.connections))
        for task in list(state.tasks):
            task.cancel()


def _bounds(timeouts: RouterTimeouts) -> Bounds:
    """As in KServe's router serverRead bounds the whole request; its app answers slow bodies, and
    the connection only those that it doesn't read. Headers have 20 s at most."""
    read = timeouts.server_read or math.inf
    return Bounds(min(read, _HEAD_SECONDS), body_seconds=read + 5, body_rate=math.inf)


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(
    app: Router,
    host: str,
    port: int,
    on_ready: Callable[[str], None] = lambda url: None,
    drain_seconds: float = 0.0,
) -> None:
    """Serves until Ctrl-C or SIGTERM; `on_ready` gets the URL. Port 0 takes a free one. After
    SIGTERM new connections are served for `drain_seconds`; answers under way then get the graph's
    own time limit, unless a second signal comes.

    Raises ConfigurationError where the port can't be bound.
    """
    uvloop.run(_run(app, bind_port(host, port), on_ready, drain_seconds))


async def _run(
    app: Router, bound: socket.socket, on_ready: Callable[[str], None], drain_seconds: float
) -> None:
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, signals.put_nowait, number)
    server = GraphServer(app, bound, app.timeouts.server_write or RouterTimeouts().server_write)
    await server.start()
    on_ready(server.url)
    asked = await signals.get()
    again = asyncio.create_task(signals.get())
    if asked is signal.SIGTERM and drain_seconds:
        server.leave()
        await asyncio.wait({again}, timeout=drain_seconds)
    stopped = asyncio.create_task(server.stop())
    await asyncio.wait({stopped, again}, return_when=asyncio.FIRST_COMPLETED)
    server.give_up()
    again.cancel()
    await stopped


def bind_port(host: str, port: int) -> socket.socket:
    """A bound socket; raises ConfigurationError where that fails."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only on sockets that say TCP; without it answers wait 40 ms for ACKs.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except (OSError, OverflowError) as error:
        bound.close()
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise ConfigurationError(
                f"port {port} on {host} is in use; stop what listens there, or choose another with "
                "--port"
            ) from None
        raise ConfigurationError(
            f"can't listen on {host}:{port}: {error}; choose another with --port"
        ) from None
    return bound
