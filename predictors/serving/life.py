"""From the start to the end of a server: its model, its two protocols, and what a signal does."""

import asyncio
import contextlib
import gc
import logging
import signal
from typing import Any, Final

import kserve
from fastapi import FastAPI
from kserve import model_server
from kserve.constants.constants import FASTAPI_APP_IMPORT_STRING
from kserve.protocol.rest.server import RESTServer, TimingMiddleware

from predictors.errors import ConfigurationError, EngineError
from predictors.memory import ByteBudget
from predictors.serving.command import end_at_once
from predictors.serving.connection import Connections
from predictors.serving.dataplane import ClosedRepository, TruthfulDataPlane
from predictors.serving.grpc_server import BoundedGRPCServer
from predictors.serving.settings import ServerSettings
from predictors.serving.tls import ServedTLS

logger = logging.getLogger("kserve.hem")

CLOSE_SECONDS: Final = 10.0
_LAST_WORDS_SECONDS: Final = 1.0  # for those who wait in vain to read why


class ServedModel(kserve.Model):
    """What a server of ours asks of its model, beside what kserve asks. While `stopping` probes
    are told that it isn't ready, and calls are answered."""

    stopping = False

    def start(self) -> None:
        """Nothing: kserve calls it before the event loop runs. See `load_and_watch`."""

    async def load_and_watch(self) -> None:
        """Makes the model answer, and returns or raises only when it can't any more.

        It is cancelled while it loads where a signal comes meanwhile.
        """
        await asyncio.Event().wait()

    def loaded(self) -> bool:
        """Whether anybody may have been sent here."""
        return True

    async def answers(self) -> bool:
        """What probes are told. kserve asks `healthy` before every inference, too."""
        return bool(await self.healthy())

    def alive(self) -> bool:
        """False where only a new process can answer again."""
        return True

    def add_routes(self, app: FastAPI) -> None:
        """Those that stand before kserve's."""

    def add_outer_layers(self, app: FastAPI) -> None:
        """What stands in front of all other layers of an app."""

    async def close(self) -> None:
        """Releases what answers needed. Called once, when no call is under way any more."""


class UntimedRESTServer(RESTServer):
    """Without the middleware that looks for each request's route, and reads the clocks, for two
    lines of kserve's trace log, which our servers don't write. /metrics has the times.

    What has been imported by then stays: looked through for garbage, it would hold up all who are
    answered just now, for a tenth of a second and more."""

    def create_application(self) -> None:
        super().create_application()
        app = model_server.app
        app.user_middleware = [used for used in app.user_middleware if used.cls != TimingMiddleware]
        gc.freeze()


class Server(kserve.ModelServer):
    """kserve's REST and gRPC servers in front of one model, which outlives both.

    SIGTERM: probes of readiness get 503 at once, but for `drain_seconds` new connections are served
    as before, as some caller's list of endpoints is always behind; each answer closes its
    connection. Then nothing new is taken, and what is under way gets until `grace_seconds` after
    the signal. SIGINT (Ctrl-C) leaves the first part out. A second signal ends the waiting.
    """

    def __init__(
        self,
        model: ServedModel,
        settings: ServerSettings,
        budget: ByteBudget,
        tls: ServedTLS | None = None,
    ) -> None:
        super().__init__()
        self.dataplane = TruthfulDataPlane(self.registered_models, settings.max_rows)
        self.model_repository_extension = ClosedRepository(self.registered_models)
        self._model = model
        self._settings = settings
        self._budget = budget
        self._tls = tls
        self._connections = Connections()
        self._signals: asyncio.Queue[signal.Signals] = asyncio.Queue()

    def run(self) -> None:
        """Serves until a signal."""
        self._register_and_check_atleast_one_model_is_ready([self._model])
        self._rest_server = self._rest()
        if self.enable_grpc:
            self._grpc_server = BoundedGRPCServer(
                self._settings.address,
                self.grpc_port,
                self.dataplane,
                self.model_repository_extension,
                self._budget,
                self._tls,
            )
        self.setup_event_loop()
        asyncio.run(self._serve())

    def _rest(self) -> Any:
        rest = UntimedRESTServer(
            FASTAPI_APP_IMPORT_STRING,
            self.dataplane,
            self.model_repository_extension,
            self.http_port,
            access_log_format=self.access_log_format,
            event_loop=self.event_loop,
            timeout_keep_alive=self.timeout_keep_alive,
            ssl_certfile=self.ssl_certfile,
            ssl_keyfile=self.ssl_keyfile,
        )
        rest.config.http = self._connections
        rest.config.host = self._settings.address or rest.config.host
        if self._tls is not None:
            self._tls.put_into(rest.config)
        rest.config.ws = "none"
        rest._server.capture_signals = contextlib.nullcontext  # they are this class's
        return rest

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
            loop.add_signal_handler(number, self._signals.put_nowait, number)
        model = asyncio.create_task(self._model.load_and_watch())
        servers = [asyncio.create_task(self._rest_server.start())]
        if self._grpc_server:
            servers.append(asyncio.create_task(self._grpc_server.start(self.max_threads)))
        asked = asyncio.create_task(self._signals.get())
        loaded = False
        fatal: ConfigurationError | EngineError | None = None
        try:
            await asyncio.wait({model, asked, *servers}, return_when=asyncio.FIRST_COMPLETED)
            for task in (model, *servers):
                if task.done():
                    task.result()
            await self._stop_servers(asked.result(), servers)
            loaded = self._model.loaded()
        except (ConfigurationError, EngineError) as error:
            fatal = error
        finally:
            model.cancel()
            await asyncio.gather(model, return_exceptions=True)
            await self._close()
        if not loaded:
            end_at_once(fatal)

    async def _stop_servers(
        self, asked: signal.Signals, servers: list["asyncio.Task[Any]"]
    ) -> None:
        """Returns when no call is under way."""
        began = asyncio.get_running_loop().time()
        self._model.stopping = True
        self._connections.drain(self._rest_server._server.server_state.connections)
        known = asked is signal.SIGTERM and self._model.loaded()
        linger = self._settings.drain_seconds if known else 0
        logger.info(
            "%s: not ready any more; new connections for %g s, calls under way for up to %g s",
            asked.name,
            linger,
            self._settings.grace_seconds,
        )
        impatient = await self._asked_again(linger)
        left = began + self._settings.grace_seconds - asyncio.get_running_loop().time()
        stopped = asyncio.create_task(self._stopped(0 if impatient else max(left, 0), servers))
        again = asyncio.create_task(self._signals.get())
        await asyncio.wait({stopped, again}, return_when=asyncio.FIRST_COMPLETED)
        if not stopped.done():
            await self._stopped(0, servers)
        await stopped
        again.cancel()

    async def _asked_again(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._signals.get(), seconds)
            return True
        return False

    async def _stopped(self, seconds: float, servers: list["asyncio.Task[Any]"]) -> None:
        """Both servers take nothing new, and have `seconds` for what is under way."""
        rest = self._rest_server._server
        rest.config.timeout_graceful_shutdown = seconds + _LAST_WORDS_SECONDS
        rest.should_exit = True
        if self._grpc_server:
            servers.append(asyncio.create_task(self._grpc_server.stop_within(seconds)))
        _, late = await asyncio.wait(servers, timeout=seconds)
        if late:
            self._connections.give_up(rest.server_state.connections)
            await asyncio.wait(late)

    async def _close(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._model.close()
        except Exception as error:
            logger.warning("model %s did not close: %s", self._model.name, error)
