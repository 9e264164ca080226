"""Who may call: bearer tokens from a file, which is read again when it changes."""

import hmac
import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from predictors.errors import HEMError

logger = logging.getLogger("kserve.hem")

BEARER: Final = "bearer "


class Unauthorized(HEMError):
    status = 401


class Keys:
    """The tokens in the file at `path`, one a line; blank lines and those that begin with # are
    left out. A Secret may come, change and go while the server runs.

    Where there is no file `open` says whether everybody may call; an empty one lets nobody in.
    """

    def __init__(self, path: Path | None, *, open: bool) -> None:
        self._path = path
        self._open = open
        self._stamp: tuple[int, int, int] | None = None
        self._keys: tuple[bytes, ...] | None = None
        self._read_again()

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises Unauthorized, never with a token."""
        self._read_again()
        if self._keys is None:
            if self._open:
                return
            raise Unauthorized(
                "the gateway has no keys yet, so nobody may call it: put keys, one a line, into "
                "the file that HEM_API_KEYS_FILE names"
            )
        given = headers.get("authorization", "")
        if not given.lower().startswith(BEARER):
            raise Unauthorized("no key: send Authorization: Bearer KEY, as api_key of the client")
        if not _one_of(given[len(BEARER) :].strip().encode(), self._keys):
            raise Unauthorized("this key is not known here")

    def _read_again(self) -> None:
        """A file that can't be read for a moment leaves the keys as they were."""
        if self._path is None:
            return
        try:
            stamp = _stamp(self._path)
            if stamp != self._stamp:
                self._keys = tuple(_keys(self._path.read_text()))
                self._stamp = stamp
        except FileNotFoundError:
            self._keys = self._stamp = None
        except (OSError, UnicodeDecodeError) as error:
            self._keys = self._keys or ()
            logger.error("HEM_API_KEYS_FILE %s can't be read: %s", self._path, error)


def _keys(text: str) -> Iterable[bytes]:
    lines = (line.strip() for line in text.splitlines())
    return (line.encode() for line in lines if line and not line.startswith("#"))


def _stamp(path: Path) -> tuple[int, int, int]:
    """A Secret's file is a link to another folder after each change."""
    status = os.stat(path)
    return status.st_ino, status.st_mtime_ns, status.st_size


def _one_of(token: bytes, keys: Iterable[bytes]) -> bool:
    """All are compared, each in constant time: how long it takes tells nothing."""
    found = False
    for key in keys:
        found |= hmac.compare_digest(token, key)
    return found
