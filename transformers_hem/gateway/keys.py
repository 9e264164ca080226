"""Who may call: bearer tokens from a file, which is read again when it changes."""

import hmac
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from predictors.errors import ConfigurationError, HEMError

BEARER: Final = "bearer "


class Unauthorized(HEMError):
    status = 401


class Keys:
    """The tokens in `path`, one a line; blank lines and those that begin with # are left out.

    Raises ConfigurationError where the file can't be read or holds none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._keys: tuple[bytes, ...] = ()
        self._read()

    def check(self, headers: Mapping[str, str]) -> None:
        """Raises Unauthorized, never with a token."""
        self._read_again()
        given = headers.get("authorization", "")
        if not given.lower().startswith(BEARER):
            raise Unauthorized("no key: send Authorization: Bearer KEY, as api_key of the client")
        token = given[len(BEARER) :].strip().encode()
        if not _one_of(token, self._keys):
            raise Unauthorized("this key is not known here")

    def _read_again(self) -> None:
        """A file that is gone, or broken, for a moment leaves the keys as they were."""
        try:
            if self._stamp != _stamp(self._path):
                self._read()
        except (OSError, ConfigurationError):
            return

    def _read(self) -> None:
        try:
            stamp, text = _stamp(self._path), self._path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError(f"HEM_API_KEYS_FILE {self._path}: {error}") from None
        lines = (line.strip() for line in text.splitlines())
        keys = tuple(line.encode() for line in lines if line and not line.startswith("#"))
        if not keys:
            raise ConfigurationError(f"HEM_API_KEYS_FILE {self._path} holds no key, one a line")
        self._stamp, self._keys = stamp, keys


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
