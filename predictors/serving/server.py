"""Runs one kserve model as a server, with the error bodies, limits and logs of all of ours."""

import asyncio
import contextlib
import importlib
import logging
import socket
import warnings
from concurrent import futures
from typing import Any, Final

import kserve
import uvloop
from fastapi import FastAPI, Request
from fastapi.exceptions import FastAPIDeprecationWarning, RequestValidationError
from grpc import aio  # noqa: TID251  (it serves, and calls nobody)
from kserve import errors as kserve_errors, model_server
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import (
    add_GRPCInferenceServiceServicer_to_server,
)
from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor, LoggingInterceptor
from kserve.protocol.grpc.server import GRPCServer
from kserve.protocol.grpc.servicer import InferenceServicer
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from predictors.contract import FAILURE_HEADER
from predictors.errors import ConfigurationError, EngineError, HEMError, UpstreamError
from predictors.serving.command import end_at_once
from predictors.serving.middleware import RequestGate

logger = logging.getLogger("kserve.hem")


def serve(
    model: kserve.Model,
    *,
    max_body_bytes: int,
    host: str = "",
    cancel_on_disconnect: bool = True,
) -> None:
    """Serves until a signal, on `host`, or on all addresses of this machine where it is empty.
    kserve's options (ports, gRPC, logging) are read from sys.argv.

    Raises ConfigurationError where a port is taken; a model that can't start, or can't answer any
    more, ends the process.
    """
    arguments = model_server.args
    _check_port("--http_port", host, arguments.http_port)
    if arguments.enable_grpc:
        _check_port("--grpc_port", host, arguments.grpc_port)
    if arguments.workers > 1:
        raise ConfigurationError(
            f"--workers {arguments.workers}: kserve workers lose the model's configuration; run "
            "one worker, and replicas of the InferenceService"
        )
    install(model_server.app, max_body_bytes, cancel_on_disconnect)
    # kserve runs asyncio.run() and leaves the choice of loop to the policy; before that it asks
    # for a current loop.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.set_event_loop(asyncio.new_event_loop())
    # kserve imports this while its servers start, and with it transformers, and vLLM where that is
    # installed. An engine's thread may import them at the same time, which fails now and then.
    with contextlib.suppress(ImportError):
        importlib.import_module("kserve.protocol.rest.openai.config")
    server = _Server(host)
    _quiet_logs()
    server.start([model])


class _Server(kserve.ModelServer):
    def __init__(self, host: str) -> None:
        super().__init__()
        self._host = host
        self.dataplane = _DataPlane(self.registered_models)
        if host:
            _GRPCServer.host, model_server.GRPCServer = host, _GRPCServer

    async def _serve(self) -> None:
        """Its REST and gRPC servers beside the model's engine, until a signal."""
        if self._host:
            self._rest_server.config.host = self._host
        try:
            await super()._serve()
        except (ConfigurationError, EngineError) as error:
            end_at_once(error)


class _GRPCServer(GRPCServer):
    """kserve's, on one address instead of all."""

    host = ""

    async def start(self, max_workers: int) -> None:
        options = ("grpc_max_send_message_length", "grpc_max_receive_message_length")
        self._server = aio.server(
            futures.ThreadPoolExecutor(max_workers=max_workers),
            interceptors=(LoggingInterceptor(), ExceptionToStatusInterceptor()),
            options=[(f"grpc.{n.removeprefix('grpc_')}", self._kwargs[n]) for n in options],
        )
        servicer = InferenceServicer(self._data_plane, self._model_repository_extension)
        add_GRPCInferenceServiceServicer_to_server(servicer, self._server)
        host = f"[{self.host}]" if ":" in self.host else self.host
        self._server.add_insecure_port(f"{host}:{self._port}")
        await self._server.start()
        await self._server.wait_for_termination()


class _DataPlane(DataPlane):
    async def ready(self) -> bool:
        """Whether each model is; kserve's own says yes as soon as it listens."""
        models = list(self.model_registry.get_models().values())
        all_ready = bool(models) and all([await model.healthy() for model in models])
        return all_ready and await super().ready()


def install(app: FastAPI, max_body_bytes: int, cancel_on_disconnect: bool) -> None:
    """Puts the request gate and `{"error": ...}` bodies on a kserve app that has not started."""
    app.add_middleware(
        RequestGate, max_body_bytes=max_body_bytes, cancel_on_disconnect=cancel_on_disconnect
    )
    app.add_exception_handler(HEMError, _hem_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)


async def _hem_error(request: Request, error: Any) -> JSONResponse:
    if error.status >= 500:
        logger.error("%s: %s", type(error).__name__, error)
    failure = {FAILURE_HEADER: error.short} if isinstance(error, UpstreamError) else None
    return JSONResponse({"error": str(error)}, status_code=error.status, headers=failure)


async def _validation_error(request: Request, error: Any) -> JSONResponse:
    # A body may be a V2 object or raw bytes; the faults of the first alternative say more.
    faults = [fault for fault in error.errors() if "bytes" not in fault["loc"]] or error.errors()
    where = [str(part) for part in faults[0]["loc"] if part not in ("body", "InferenceRequest")]
    message = f"{'.'.join(where)}: {faults[0]['msg']}" if where else faults[0]["msg"]
    return JSONResponse({"error": f"invalid request: {message}"}, status_code=422)


async def _http_exception(request: Request, error: Any) -> JSONResponse:
    return JSONResponse(
        {"error": str(error.detail)}, status_code=error.status_code, headers=error.headers
    )


def _check_port(option: str, host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host or "0.0.0.0", port))
        except (OSError, OverflowError) as error:
            at = f" on --host {host}" if host else ""
            raise ConfigurationError(f"{option} {port}{at} can't be used: {error}") from None


# What callers and probes cause every day; kserve logs each with a traceback.
EXPECTED: Final = (
    kserve_errors.InvalidInput,
    kserve_errors.ModelNotFound,
    kserve_errors.ModelNotReady,
    kserve_errors.ServerNotReady,
)


def _quiet_logs() -> None:
    """Two access lines and six timings of each request would drown everything else."""
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    logging.getLogger("kserve.trace").setLevel(logging.WARNING)
    logging.getLogger("kserve").addFilter(_expected_is_one_line)
    warnings.filterwarnings("ignore", category=FastAPIDeprecationWarning)  # kserve's own use


def _expected_is_one_line(record: logging.LogRecord) -> bool:
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, EXPECTED):
        record.exc_info = None
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args = f"{type(error).__name__}: {error}", ()
    return True
