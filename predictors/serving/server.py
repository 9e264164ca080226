"""Runs one kserve model as a server, with the error bodies, limits and logs of all of ours."""

import asyncio
import contextlib
import importlib
import logging
import socket
import warnings
from collections.abc import Sequence
from typing import Any, Final

import uvloop
from fastapi import FastAPI, Request
from fastapi.exceptions import FastAPIDeprecationWarning, RequestValidationError
from kserve import errors as kserve_errors, model_server
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from predictors import logs
from predictors.contract import FAILURE_HEADER
from predictors.errors import ConfigurationError, HEMError, UpstreamError
from predictors.memory import ByteBudget
from predictors.serving.byte_gate import ByteGate
from predictors.serving.life import ServedModel, Server
from predictors.serving.middleware import RequestGate
from predictors.serving.origin_gate import OriginGate
from predictors.serving.settings import ServerSettings
from predictors.serving.telemetry import Telemetry
from predictors.serving.tls import served_tls
from predictors.tracing.settings import start_tracing
from predictors.tracing.spans import stop as stop_tracing

logger = logging.getLogger("kserve.hem")


def serve(
    model: ServedModel,
    settings: ServerSettings,
    *,
    cancel_on_disconnect: bool = True,
    origins: Sequence[str] = (),
) -> None:
    """Serves until a signal, on `settings.address`; `origins` are those whose pages may call.
    kserve's options (ports, gRPC, logging) are read from sys.argv.

    Raises ConfigurationError where a port is taken; a model that can't start, or can't answer any
    more, ends the process.
    """
    logs.install(settings.log_format)
    arguments = model_server.args
    _check_port("--http_port", settings.address, arguments.http_port)
    if arguments.enable_grpc:
        _check_port("--grpc_port", settings.address, arguments.grpc_port)
    if arguments.workers > 1:
        raise ConfigurationError(
            f"--workers {arguments.workers}: kserve workers lose the model's configuration; run "
            "one worker, and replicas of the InferenceService"
        )
    tls = served_tls(arguments.ssl_certfile, arguments.ssl_keyfile, settings.tls_client_ca)
    model.add_routes(model_server.app)
    install(model_server.app, settings.max_body_bytes, cancel_on_disconnect)
    budget = ByteBudget(settings.max_bytes_in_flight)
    model_server.app.add_middleware(ByteGate, budget=budget)
    if settings.listens_here:
        model_server.app.add_middleware(OriginGate, allowed=origins)
    model.add_outer_layers(model_server.app)
    model_server.app.add_middleware(Telemetry)
    # kserve runs asyncio.run() and leaves the choice of loop to the policy; before that it asks
    # for a current loop.
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.set_event_loop(asyncio.new_event_loop())
    # kserve imports this while its servers start, and with it transformers, and vLLM where that is
    # installed. An engine's thread may import them at the same time, which fails now and then.
    with contextlib.suppress(ImportError):
        importlib.import_module("kserve.protocol.rest.openai.config")
    server = Server(model, settings, budget, tls)
    _quiet_logs()
    start_tracing(model.name)
    try:
        server.run()
    finally:
        stop_tracing()


def install(app: FastAPI, max_body_bytes: int, cancel_on_disconnect: bool) -> None:
    """Puts the request gate and `{"error": ...}` bodies on a kserve app that has not started."""
    app.add_middleware(
        RequestGate, max_body_bytes=max_body_bytes, cancel_on_disconnect=cancel_on_disconnect
    )
    app.add_exception_handler(HEMError, _hem_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_exception)


async def _hem_error(request: Request, error: Any) -> JSONResponse:
    if error.status >= 500 and not error.told:
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
            at = f" on {host}" if host else ""
            raise ConfigurationError(f"{option} {port} can't be used{at}: {error}") from None


# What callers and probes cause every day; kserve logs each with a traceback.
EXPECTED: Final = (
    kserve_errors.InvalidInput,
    kserve_errors.ModelNotFound,
    kserve_errors.ModelNotReady,
    kserve_errors.ServerNotReady,
    kserve_errors.ServerNotLive,
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
