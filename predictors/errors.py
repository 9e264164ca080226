"""One tree of errors, each with the HTTP status it answers.

    HEMError                     500
    ├── ConfigurationError       500   settings, files or manifests are wrong; found at start
    ├── InvalidRequest           400   the request breaks the V2 contract
    ├── UnknownModel             404
    ├── PayloadTooLarge          413
    ├── EngineError              500   the model failed while it answered
    ├── NotReady                 503   the model loads, or can't answer any more
    ├── Overloaded               503
    └── UpstreamError            502   the far side answered with something unusable
        ├── UpstreamUnavailable  503   the far side can't be reached, or refused
        └── UpstreamTimeout      504

`str(error)` is one clear line; over HTTP it is the body `{"error": str(error)}`.
"""

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, ClassVar


class HEMError(Exception):
    """Root of the tree; anything else that reaches a client is a bug."""

    status: ClassVar[int] = 500


class ConfigurationError(HEMError):
    """Settings, files or manifests are wrong. Command lines print it and exit with 2."""


class InvalidRequest(HEMError):
    status = 400


class UnknownModel(HEMError):
    status = 404


class PayloadTooLarge(HEMError):
    status = 413


class EngineError(HEMError):
    """The engine failed on a valid request."""


class NotReady(HEMError):
    status = 503


class Overloaded(HEMError):
    status = 503


class Failure(StrEnum):
    """In what way a far side failed: the `kind` of `hem_upstream_failures_total`."""

    UNREACHABLE = "unreachable"  # no connection, or it was closed
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"  # it answered 5xx
    REFUSED = "refused"  # it answered 4xx that our caller can't mend: a wrong key, too many calls
    UNUSABLE = "unusable"  # it answered with what is no answer: HTML, a missing output


class UpstreamError(HEMError):
    """The far side answered, but with something unusable.

    `retryable`: the same call may succeed in a moment. `retry_after`: the seconds that the far
    side asked to wait before that.
    """

    status = 502
    usual: ClassVar[Failure] = Failure.UNUSABLE
    usually_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        failure: Failure | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = self.usual if failure is None else failure
        self.retryable = self.usually_retryable if retryable is None else retryable
        self.retry_after = retry_after


class UpstreamUnavailable(UpstreamError):
    status = 503
    usual = Failure.UNREACHABLE
    usually_retryable = True


class UpstreamTimeout(UpstreamError):
    status = 504
    usual = Failure.TIMEOUT


def first_line(error: BaseException) -> str:
    """The part of a library's error that fits into one line of ours."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def known(wrong: object, names: Iterable[str], *, brief: bool = False) -> str:
    """The way out of an unknown name: `known: a, b; did you mean 'a'?`.

    With `brief`, for tables that are too long to be listed, the nearest name alone where there is
    one.
    """
    table = sorted(names)
    near = difflib.get_close_matches(str(wrong), table, n=1)
    if near and brief:
        return f"did you mean {near[0]!r}?"
    return f"known: {', '.join(table) or 'none'}" + (f"; did you mean {near[0]!r}?" if near else "")


def first_fault(error: Any) -> tuple[str, str, Any]:
    """Of a pydantic ValidationError: the first field's path with dots, what is wrong there, and
    the value. The path is empty where the whole is at fault; a missing field `is required`."""
    fault = error.errors(include_url=False)[0]
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "missing":
        message = "is required"
    return ".".join(map(str, fault["loc"])), message, fault["input"]
