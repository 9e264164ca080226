"""Whether another server would answer: asked without a query, so that it costs no tokens.

probe      one look at a server; also for who waits for an overdue answer
Standing   what is known of one server; tells in log and metrics when that changes
watch      looks after the start, until one of them says something that lasts
told       reads a line of the log that a Standing wrote
"""

import asyncio
import itertools
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from prometheus_client import Gauge

from predictors.errors import Cause, HEMError, Unrecorded, UpstreamError

logger = logging.getLogger("kserve.hem")

Look = Callable[[], Awaitable[object]]

LOOK_SECONDS: Final = 5.0
# Between looks: a cloud that starts beside its uplink is soon there, one far away may be cut off
# for days.
FIRST_SECONDS, NEXT_SECONDS, SOON, LATER_SECONDS = 1.0, 2.0, 60, 60.0

UP: Final = Gauge(
    "hem_upstream_up",
    "1 where the called server answers, 0 where it fails all calls; absent while that is unknown.",
    ["upstream"],
)
FAILING: Final = Gauge(
    "hem_upstream_failing",
    "1 while the called server fails all calls, and why.",
    ["upstream", "reason"],
)

# What a status says of all calls, not only of the one that it answered.
STATUSES: Final = {
    401: "refused the key (401)",
    402: "refused to answer unpaid (402)",
    403: "refused the key (403)",
    404: "has no such model or path (404)",
    407: "is behind a proxy that refused the key (407)",
}
PASSING: Final = {
    Cause.UNREACHABLE: "can't be reached",
    Cause.TIMEOUT: "does not answer in time",
    Cause.SERVER_ERROR: "fails",
}
NOT_READY: Final = "is not ready (503)"
OTHERS: Final = {
    Cause.CERTIFICATE: "shows a certificate that does not verify",
    Cause.UNUSABLE: "does not answer as such a server does",
    Cause.TOO_LARGE: "answers too much",
}
ANSWERS: Final = "answers"


async def probe(look: Look, seconds: float = LOOK_SECONDS) -> HEMError | None:
    """What `look`, one cheap request, raises within `seconds`; None where all is well.

    An UpstreamError without `answered` says that the server gave no answer at all.
    """
    try:
        async with asyncio.timeout(seconds):
            await look()
    except HEMError as error:
        return error
    except TimeoutError:
        return UpstreamError(f"no answer to a probe within {seconds:g} s", Cause.TIMEOUT)
    return None


def fault(error: HEMError) -> str:
    """Why every call fails, in a few words; the status stands in brackets where there is one.

    Empty where the error says nothing of other calls.
    """
    if not isinstance(error, UpstreamError):
        return ""
    if error.answered in STATUSES:
        return STATUSES[error.answered]
    if error.answered == 503:
        return NOT_READY
    words = {**PASSING, **OTHERS}.get(error.cause, "")
    return f"{words} ({error.answered})" if words and error.answered else words


class Standing:
    """Of one server, called `name` in log and metrics. Cheap where nothing changes."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._fault: str | None = None  # empty: it answers; None: nobody knows yet

    def learn(self, error: HEMError | None, *, down: bool) -> None:
        """From the end of one call. A failure counts where its status says that all others would
        fail too, or where the server is `down`, as the circuit breaker is open."""
        if error is None:
            self.well()
        elif down or (isinstance(error, UpstreamError) and error.answered in STATUSES):
            self.failed(error)

    def well(self) -> None:
        if self._fault != "":
            self._change("", logging.INFO if self._fault is None else logging.WARNING, ANSWERS)

    def failed(self, error: HEMError) -> None:
        found = fault(error)
        if found and found != self._fault:
            self._change(found, logging.WARNING, f"{found}; {error}")

    def _change(self, found: str, level: int, text: str) -> None:
        if self._fault:
            FAILING.remove(self.name, self._fault)
        if found:
            FAILING.labels(self.name, found).set(1)
        UP.labels(self.name).set(not found)
        self._fault = found
        logger.log(level, "far side %s %s", self.name, text)


async def watch(look: Look, standing: Standing) -> None:
    """Looks until the server answers, or refuses in a way that waiting does not mend."""
    for number in itertools.count():
        soon = NEXT_SECONDS if number else FIRST_SECONDS
        await asyncio.sleep(soon if number < SOON else LATER_SECONDS)
        error = await probe(look)
        if isinstance(error, Unrecorded):
            continue  # nobody was asked
        if error is None or not fault(error):
            standing.well()
            return
        standing.failed(error)
        if not (isinstance(error, UpstreamError) and error.cause in PASSING):
            return


class Told(NamedTuple):
    """A Standing's line: `fault` is empty where the server answers; `passing` where it may soon."""

    upstream: str
    fault: str
    detail: str

    @property
    def passing(self) -> bool:
        return self.fault.startswith((NOT_READY, *PASSING.values()))


_LINE: Final = re.compile(r"\bfar side (\S+) (?:(answers)$|([^;]+); (.*)$)")


def told(line: str) -> Told | None:
    """What a line of a server's log says of its far side; None for all other lines."""
    match = _LINE.search(line)
    return Told(match[1], match[3] or "", match[4] or "") if match else None
