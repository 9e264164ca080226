"""Serves a graph's router: alone until Ctrl-C, or beside others in one event loop."""

import asyncio
import contextlib
import errno
import signal
import socket
from collections.abc import Callable, Iterator

import uvicorn
import uvloop

from inferencegraph.router.app import Router
from predictors.errors import ConfigurationError

_DRAIN_SECONDS = 5
_POLL_SECONDS = 0.005


class GraphServer:
    """A router on a socket that is already bound, inside the running event loop."""

    def __init__(self, app: Router, bound: socket.socket) -> None:
        host, port = bound.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._socket = bound
        config = uvicorn.Config(
            app,
            http="httptools",
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="warning",
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=app.timeouts.server_idle or app.timeouts.server_read,
            timeout_graceful_shutdown=_DRAIN_SECONDS,
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

    async def stop(self) -> None:
        """Lets answers under way finish, for a few seconds."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()


class _Server(uvicorn.Server):
    """uvicorn's server, which leaves signals alone."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def run(
    app: Router, host: str, port: int, on_ready: Callable[[str], None] = lambda url: None
) -> None:
    """Serves until Ctrl-C or SIGTERM; `on_ready` gets the URL. Port 0 takes a free one.

    Raises ConfigurationError where the port can't be bound.
    """
    uvloop.run(_run(app, bind_port(host, port), on_ready))


async def _run(app: Router, bound: socket.socket, on_ready: Callable[[str], None]) -> None:
    asked_to_stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_stop.set)
    server = GraphServer(app, bound)
    await server.start()
    on_ready(server.url)
    await asked_to_stop.wait()
    await server.stop()


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
