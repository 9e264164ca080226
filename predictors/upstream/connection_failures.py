"""What a connection that could not be made, or broke, means to who asked for it."""

import os
import socket
import ssl
from typing import Final, TypeAlias

import aiohttp
import httpx

from predictors.errors import Cause, UpstreamError
from predictors.upstream.redaction import NOTHING_SECRET, Redaction

ConnectionFailed: TypeAlias = httpx.HTTPError | aiohttp.ClientError | OSError
CONNECTION_ERRORS: Final = (httpx.HTTPError, aiohttp.ClientError, OSError)  # TimeoutError is one
_UNSENT: Final = (
    aiohttp.ClientConnectorCertificateError,
    aiohttp.ClientConnectorError,
    aiohttp.ConnectionTimeoutError,
)


def connection_failure(
    error: ConnectionFailed, url: str, redaction: Redaction = NOTHING_SECRET
) -> UpstreamError:
    """What a call that got no whole answer means to our own caller, naming the URL.

    The transport calls a refused and a dropped connection `ConnectTimeout`, and lets some of
    aiohttp's errors through; aiohttp's own error tells them apart.
    """
    cause = error.__cause__ if isinstance(error, httpx.HTTPError) else error
    failure = _failure(error, cause, url, redaction)
    failure.unsent = isinstance(cause, _UNSENT)
    return failure


def _failure(
    error: ConnectionFailed, cause: BaseException | None, url: str, redaction: Redaction
) -> UpstreamError:
    if isinstance(cause, aiohttp.ClientConnectorCertificateError):
        reason = getattr(cause.certificate_error, "verify_message", cause.certificate_error)
        return UpstreamError(
            f"the certificate of {url} does not verify: {reason}", Cause.CERTIFICATE
        )
    if isinstance(cause, aiohttp.ClientConnectorError):
        proxy = "the proxy to " * isinstance(cause, aiohttp.ClientProxyConnectionError)
        return UpstreamError(
            f"{proxy}{url} can't be reached: {_reason(cause.os_error)}",
            Cause.UNREACHABLE,
            retryable=not isinstance(cause, aiohttp.ClientSSLError),
        )
    if isinstance(cause, aiohttp.ConnectionTimeoutError):
        return UpstreamError(
            f"{url} can't be reached: no connection in time", Cause.TIMEOUT, retryable=True
        )
    if isinstance(cause, TimeoutError) or isinstance(error, TimeoutError):
        return UpstreamError(f"{url} did not answer in time", Cause.TIMEOUT)
    if isinstance(cause, aiohttp.ClientConnectionError):
        return UpstreamError(f"{url} closed the connection before it answered", Cause.UNREACHABLE)
    reason = redaction.reason(str(error)) or type(error).__name__
    if isinstance(cause, aiohttp.ClientHttpProxyError):  # as text it holds the proxy's URL
        return UpstreamError(f"the proxy to {url} refused the call: {cause.status} {cause.message}")
    if isinstance(cause, aiohttp.ClientResponseError):
        return UpstreamError(f"{url} did not answer with HTTP: {reason}")
    return UpstreamError(
        f"{url} broke off its answer: {reason}", Cause.UNREACHABLE, status=502, retryable=False
    )


def _reason(error: OSError) -> str:
    """asyncio says which address it called; the rest of us want to know what happened."""
    if (
        error.errno is not None
        and error.errno > 0
        and not isinstance(error, socket.gaierror | ssl.SSLError)
    ):
        return os.strerror(error.errno)
    return error.strerror or str(error)
