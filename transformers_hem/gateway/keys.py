"""Who may call: bearer tokens, and whose each is."""

import hmac
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from predictors.errors import Forbidden, HEMError, TooManyRequests
from transformers_hem.gateway.callers import EVERYBODY, Caller, Callers, hash_of, read_callers

BEARER: Final = "bearer "
MINUTE: Final = 60.0


class Unauthorized(HEMError):
    status = 401


class Keys:
    """The tokens that `path` has now, a file or a folder; see `callers`. Only their hashes are
    kept. A Secret may come, change and go while the server runs: then there are other Keys.

    Where there is no file `open` says whether everybody may call; an empty one lets nobody in.
    Raises ConfigurationError where the file is wrong.
    """

    def __init__(self, path: Path | None, *, open: bool) -> None:
        self.path = path
        self.open = open
        self.callers: Callers | None = None
        if path is not None:
            try:
                self.callers = read_callers(path)
            except FileNotFoundError:
                self.callers = None

    def check(self, headers: Mapping[str, str]) -> Caller:
        """Raises Unauthorized, never with a token."""
        if self.callers is None:
            if self.open:
                return EVERYBODY
            raise Unauthorized(
                "the gateway has no keys yet, so nobody may call it: put keys, one a line, into "
                "the file that HEM_API_KEYS_FILE names"
            )
        given = headers.get("authorization", "")
        if not given.lower().startswith(BEARER):
            raise Unauthorized("no key: send Authorization: Bearer KEY, as api_key of the client")
        caller = _whose(hash_of(given[len(BEARER) :].strip()), self.callers)
        if caller is None:
            raise Unauthorized("this key is not known here")
        return caller

    def check_admin(self, headers: Mapping[str, str]) -> Caller:
        """Raises Unauthorized, or Forbidden for a caller who is no admin."""
        caller = self.check(headers)
        if not caller.admin:
            raise Forbidden(f"{caller.name} may not call this: its token is not one of an admin")
        return caller


def _whose(digest: bytes, callers: Callers) -> Caller | None:
    """All are compared, each in constant time: how long it takes tells nothing."""
    found = None
    for known, caller in callers.items():
        if hmac.compare_digest(digest, known):
            found = caller
    return found


class Rates:
    """How often each caller has asked in the last minute, in this process: never more than it may
    in any minute."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        self._timer = timer
        self._asked: dict[str, deque[float]] = {}

    def take(self, caller: Caller) -> None:
        """Raises TooManyRequests."""
        most = caller.requests_per_minute
        if most is None:
            return
        now = self._timer()
        asked = self._asked.setdefault(caller.name, deque())
        while asked and now - asked[0] >= MINUTE:
            asked.popleft()
        if len(asked) >= most:
            seconds = MINUTE - (now - asked[len(asked) - most])
            raise TooManyRequests(f"{caller.name} may ask {most} times a minute", seconds)
        asked.append(now)
