"""What a failed call to Triton means to our own caller."""

import asyncio
import ssl
from typing import Final, TypeAlias

import aiohttp
import grpc
from tritonclient.utils import InferenceServerException

from predictors.errors import Cause, HEMError, InvalidRequest, UpstreamError

UNKNOWN_MODEL: Final = "unknown model"
CERTIFICATE: Final = ("CERTIFICATE_VERIFY_FAILED", "certificate verify failed", "Peer name")
CALLERS_FAULT: Final = {"INVALID_ARGUMENT", "OUT_OF_RANGE", "400", "413"}
UNAVAILABLE: Final = {"UNAVAILABLE", "429", "503"}
TOO_LATE: Final = {"DEADLINE_EXCEEDED", "408", "504"}
NOT_THERE: Final = {"NOT_FOUND", "404"}
REFUSED: Final = {"UNAUTHENTICATED", "PERMISSION_DENIED", "401", "403", "RESOURCE_EXHAUSTED"}

# vLLM's words for a prompt that it can't take; Triton passes them on as an error of its own.
TOO_LONG: Final = ("maximum model length", "maximum context length")
NO_REQUEST_ID: Final = "[request id: <id_unknown>] "

Failed: TypeAlias = InferenceServerException | grpc.RpcError | aiohttp.ClientError | TimeoutError


def failure(error: Failed, where: str, model: str) -> HEMError:
    """`where` is Triton's location, `model` the name of the model that was asked."""
    if isinstance(error, aiohttp.ClientError | TimeoutError):
        return _connection_failure(error, where)
    status, message = _status_and_message(error)
    if any(sign in message for sign in CERTIFICATE):
        return UpstreamError(f"{where}: {_certificate(message)}", Cause.CERTIFICATE)
    if status in NOT_THERE or UNKNOWN_MODEL in message:
        return UpstreamError(
            f"{where} has no model {model!r} that is ready: {message}", Cause.REFUSED, status=503
        )
    if status in CALLERS_FAULT or any(sign in message for sign in TOO_LONG):
        return InvalidRequest(message)
    if status in TOO_LATE:
        return UpstreamError(f"{where} did not answer in time: {message}", Cause.TIMEOUT)
    if status in UNAVAILABLE:
        return UpstreamError(f"{where} is not available: {message}", Cause.UNREACHABLE)
    # A model that fails on a query is alive: five such queries must not shut out everybody else.
    kind = Cause.REFUSED if status in REFUSED else Cause.UNUSABLE
    return UpstreamError(f"{where}, model {model!r}: {message}", cause=kind)


def _status_and_message(error: InferenceServerException | grpc.RpcError) -> tuple[str, str]:
    """`INVALID_ARGUMENT` or `400`, and one line."""
    if isinstance(error, grpc.RpcError):
        code, message = error.code(), error.details()
        return code.name, _line(message)
    status = str(error.status() or "").removeprefix("StatusCode.")
    return status, _line(error.message())


def _connection_failure(error: aiohttp.ClientError | TimeoutError, where: str) -> HEMError:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return UpstreamError(
            f"{where}: {_certificate(str(error.certificate_error))}", Cause.CERTIFICATE
        )
    if isinstance(error, aiohttp.ClientConnectorError):
        reason = error.os_error.strerror or str(error.os_error)
        if isinstance(error.os_error, ssl.SSLError):
            return UpstreamError(f"{where}: {_certificate(reason)}", Cause.CERTIFICATE)
        return UpstreamError(f"{where} can't be reached: {reason}", Cause.UNREACHABLE)
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        text = f"{where} can't be reached: no connection in time"
        return UpstreamError(text, Cause.TIMEOUT, retryable=True)
    if isinstance(error, TimeoutError | asyncio.TimeoutError):
        return UpstreamError(f"{where} did not answer in time", Cause.TIMEOUT)
    if isinstance(error, aiohttp.ClientConnectionError):
        text = f"{where} closed the connection before it answered"
        return UpstreamError(text, Cause.UNREACHABLE)
    reason = _line(str(error) or type(error).__name__)
    return UpstreamError(f"{where} gave no answer of HTTP: {reason}")


def _certificate(reason: str) -> str:
    return f"the TLS handshake failed; check --ca_bundle and the certificate: {_line(reason)}"


def _line(message: str | None) -> str:
    """One line of at most 500 characters: a Python model's error brings its traceback."""
    words = " ".join((message or "no reason given").split()).removeprefix(NO_REQUEST_ID)
    return words if len(words) <= 500 else f"{words[:497]}..."
