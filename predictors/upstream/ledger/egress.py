"""Around each attempt at a server: a line before it leaves, a line after."""

import asyncio
import hashlib
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from predictors.errors import HEMError, UpstreamError
from predictors.upstream.client import FORWARDED
from predictors.upstream.ledger.decision import DECISION
from predictors.upstream.ledger.opening import close_ledger, open_ledger
from predictors.upstream.ledger.sent import CALL, SENT, Sent
from predictors.upstream.ledger.writer import Ledger
from predictors.upstream.settings import Limits

REQUEST_ID: Final = "x-request-id"
CANCELLED: Final = "cancelled"  # by the deadline, the watch, or as the caller left
_MAX_ID: Final = 128
_MAX_MODEL: Final = 100
_NOT_SHOWN: Final = re.compile(r"[^\x21-\x7e]")


class Egress:
    """To one server. Without a ledger it costs nothing."""

    def __init__(self, limits: Limits) -> None:
        """Raises ConfigurationError where the ledger can't be opened."""
        self._ledger: Ledger | None = None
        if limits.ledger:
            self._ledger = open_ledger(
                limits.ledger,
                limits.ledger_segment_bytes,
                limits.ledger_fsync_seconds,
                limits.ledger_key,
            )

    @property
    def records(self) -> bool:
        return self._ledger is not None

    @contextmanager
    def attempt(
        self, where: str, method: str, body: bytes, about: Mapping[str, Any]
    ) -> Iterator[Sent]:
        """Around an attempt that sends `body` to `where`, a URL without secrets. `about` are
        further fields of the line. Raises Unrecorded where the line can't be written."""
        sent = Sent()
        if self._ledger is None:
            yield sent
            return
        number = self._ledger.intend(_intent(where, method, body, about))
        call = CALL.get()
        if call is not None and call.first is None:
            call.first = number
        token = SENT.set(sent)
        cause = "failed"
        try:
            yield sent
            cause = ""
        except asyncio.CancelledError:
            cause = CANCELLED
            raise
        except UpstreamError as error:
            cause = error.cause
            raise
        except HEMError as error:
            cause = type(error).__name__
            raise
        finally:
            SENT.reset(token)
            self._ledger.report(_outcome(number, sent, cause))

    def close(self) -> None:
        if self._ledger is not None:
            close_ledger(self._ledger)
            self._ledger = None


def _intent(where: str, method: str, body: bytes, about: Mapping[str, Any]) -> dict[str, Any]:
    call = CALL.get()
    line: dict[str, Any] = {"to": where, "method": method, "bytes": len(body), **about}
    if body:
        line["sha256"] = hashlib.sha256(body).hexdigest()
    if call is None:
        line["probe"] = True
    elif call.first is not None:
        line["again"] = call.first
    for name, value in FORWARDED.get().items():
        if name.lower() == REQUEST_ID:
            line["request_id"] = _NOT_SHOWN.sub("?", value[:_MAX_ID])
    if decision := DECISION.get():
        line["decision"] = decision
    return line


def _outcome(number: int, sent: Sent, cause: str) -> dict[str, Any]:
    line: dict[str, Any] = {"of": number, "received": sent.received}
    line["seconds"] = round(time.perf_counter() - sent.began, 4)
    if sent.status is not None:
        line["status"] = sent.status
    if cause:
        line["cause"] = cause
    if sent.model:
        line["model"] = _NOT_SHOWN.sub("?", sent.model[:_MAX_MODEL])
    if sent.prompt_tokens or sent.completion_tokens:
        line["prompt_tokens"] = sent.prompt_tokens
        line["completion_tokens"] = sent.completion_tokens
    return line
