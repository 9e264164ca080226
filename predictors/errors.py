"""One tree of errors, each with the HTTP status it answers; and what each cause of a failed call to
another server leads to.

    HEMError                  500
    ├── ConfigurationError    500   settings, files or manifests are wrong; found at start
    ├── InvalidRequest        400   the request breaks the V2 contract
    │   └── ContextTooLong    400   it has more tokens than the model takes
    ├── Forbidden             403   the caller is known, and may not do this
    ├── UnknownModel          404
    ├── PayloadTooLarge       413
    ├── UnsupportedMedia      415
    ├── TooManyRequests       429   the caller asks more often than it may
    ├── EngineError           500   the model failed while it answered
    ├── NotReady              503   the model loads, or can't answer any more
    ├── Overloaded            503
    └── UpstreamError         422, 502, 503 or 504: a call to another server failed, by CAUSES
        ├── BreakerOpen       503   it was not tried: the server is known to be down
        └── Unrecorded        503   it was not tried: the egress ledger can't be written

`str(error)` is one clear line; over HTTP it is the body `{"error": str(error)}`.
"""

import difflib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple


class HEMError(Exception):
    """Root of the tree; anything else that reaches a client is a bug. `told`: the log has it
    already, or one line for many. `exit_code`: of a command line that ends by it."""

    status: int = 500
    told: bool = False
    exit_code: int = 2


class ConfigurationError(HEMError):
    """Settings, files or manifests are wrong. Command lines print it and exit with 2."""


class InvalidRequest(HEMError):
    status = 400


class ContextTooLong(InvalidRequest):
    """OpenAI's API says context_length_exceeded."""


class Forbidden(HEMError):
    status = 403


class UnknownModel(HEMError):
    status = 404


class PayloadTooLarge(HEMError):
    status = 413


class UnsupportedMedia(HEMError):
    status = 415


class TooManyRequests(HEMError):
    """The next one is taken in `retry_after` seconds."""

    status = 429

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class EngineError(HEMError):
    """The engine failed on a valid request."""


class NotReady(HEMError):
    status = 503


class Overloaded(HEMError):
    status = 503


class Cause(StrEnum):
    """Why a call to another server failed: the `kind` of `hem_upstream_failures_total`."""

    UNREACHABLE = "unreachable"  # no connection, or it was closed
    CERTIFICATE = "certificate"  # it shows a certificate that does not verify
    TIMEOUT = "timeout"
    SERVER_ERROR = "server_error"  # it answered 5xx
    THROTTLED = "throttled"  # it answered 429: too many calls
    REFUSED = "refused"  # it answered 4xx that our caller can't mend, such as a wrong key
    DECLINED = "declined"  # it is well, but this question it does not answer: a content filter
    UNUSABLE = "unusable"  # it answered something that is not an answer: HTML, a missing output
    TOO_LARGE = "too_large"  # its answer has more bytes than the limit
    UNRECORDED = "unrecorded"  # nothing was sent, as the egress ledger can't be written


class Consequence(NamedTuple):
    """`status` is what our own caller gets. `down`: several in a row open the circuit breaker, as
    nobody gets an answer there. `retryable`: the same call may succeed in a moment."""

    status: int
    down: bool = False
    retryable: bool = False


# The same for every transport. What a server answered may say more: see upstream.attempt.
CAUSES: Final[Mapping[Cause, Consequence]] = {
    Cause.UNREACHABLE: Consequence(503, down=True, retryable=True),
    Cause.CERTIFICATE: Consequence(502, down=True),
    Cause.TIMEOUT: Consequence(504, down=True),
    Cause.SERVER_ERROR: Consequence(502, down=True),
    Cause.THROTTLED: Consequence(503, down=True, retryable=True),
    Cause.REFUSED: Consequence(502),
    Cause.DECLINED: Consequence(422),
    Cause.UNUSABLE: Consequence(502, down=True),
    Cause.TOO_LARGE: Consequence(502, down=True),
    Cause.UNRECORDED: Consequence(503),
}


class UpstreamError(HEMError):
    """A call to another server failed. `status`, `retryable` and `down` are the cause's by CAUSES,
    unless they are named. `retry_after`: the seconds that the server asked to wait before another
    try. `answered`: the HTTP status that it answered, where it refused. `unsent`: nothing of the
    call reached it."""

    unsent: bool = False

    def __init__(
        self,
        message: str,
        cause: Cause = Cause.UNUSABLE,
        *,
        status: int | None = None,
        retryable: bool | None = None,
        down: bool | None = None,
        retry_after: float | None = None,
        answered: int | None = None,
    ) -> None:
        super().__init__(message)
        self.cause = cause
        self.status = CAUSES[cause].status if status is None else status
        self.retryable = CAUSES[cause].retryable if retryable is None else retryable
        self.down = CAUSES[cause].down if down is None else down
        self.retry_after = retry_after
        self.answered = answered

    @property
    def short(self) -> str:
        """In one word: the status that the server answered, or the cause."""
        return str(self.answered or self.cause)


class BreakerOpen(UpstreamError):
    """A call that was not tried, as the circuit breaker is open for so many seconds more."""

    told = True
    unsent = True

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message, Cause.UNREACHABLE, retryable=False, retry_after=seconds)


class Unrecorded(UpstreamError):
    """An attempt that was not made, as the egress ledger can't be written. It says nothing of the
    server."""

    told = True
    unsent = True

    def __init__(self, message: str) -> None:
        super().__init__(message, Cause.UNRECORDED)


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
