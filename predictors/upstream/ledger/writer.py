"""The one writer of a ledger."""

import fcntl
import hashlib
import logging
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from predictors.errors import ConfigurationError, Unrecorded
from predictors.upstream.ledger.lines import (
    BEGINNING,
    MAX_LINE_BYTES,
    VERSION,
    Head,
    Kind,
    digest_of,
    parse_line,
    written,
)
from predictors.upstream.ledger.segments import sealed, sealed_path
from predictors.upstream.ledger.signing import Signer

logger = logging.getLogger("kserve.hem")

SIGN_SECONDS: Final = 60.0  # between two signatures, where something came in between
LOCK_SUFFIX: Final = ".lock"
_MODE: Final = 0o640
_STEP_BYTES: Final = 4096  # read at once from the end
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


class Ledger:
    """Appends lines, each by one write, so that a killed process leaves whole lines, and at most
    one unfinished: the next one cuts that off, and says so.

    A segment of more than `segment_bytes` is sealed. Every `fsync_seconds` (0: never) what was
    written is forced to the disk, by a thread. A `signer` signs what came at the start, at the end,
    in each seal and every `sign_seconds`. Threads may share it, processes may not.
    """

    def __init__(
        self,
        path: Path,
        segment_bytes: int,
        fsync_seconds: float = 0.0,
        signer: Signer | None = None,
        sign_seconds: float = SIGN_SECONDS,
    ) -> None:
        """Raises ConfigurationError where it can't be opened, another process writes it, or its
        last line is damaged."""
        self.path = path
        self.head = BEGINNING
        self._segment_bytes = segment_bytes
        self._mutex = threading.Lock()
        self._waiting: list[tuple[Kind, dict[str, Any]]] = []
        self._ended = False  # its last line is a seal
        self._syncs = fsync_seconds > 0
        self._unsynced = False
        self._told = False
        self._signer = signer
        self._unsigned = signer is not None
        try:
            self._lock = _locked(path)
            try:
                self._begin()
            except BaseException:
                os.close(self._lock)
                raise
        except OSError as error:
            reason = error.strerror or error
            raise ConfigurationError(f"the ledger {path} can't be written: {reason}") from None
        logger.info("ledger %s: open; head %s", path, self.head)
        self._stop = threading.Event()
        if self._syncs:
            until = self._sync_until_stopped
            threading.Thread(target=until, args=(fsync_seconds,), daemon=True).start()
        if signer is not None:
            self._sign()
            until = self._sign_until_stopped
            threading.Thread(target=until, args=(sign_seconds,), daemon=True).start()

    def intend(self, fields: dict[str, Any]) -> int:
        """The number of the line. Raises Unrecorded where it can't be written: then what it tells
        of must not happen."""
        with self._mutex:
            try:
                self._catch_up()
                self._write(Kind.INTENT, fields)
            except OSError as error:
                self._tell(error)
                raise Unrecorded(
                    f"the ledger {self.path} can't be written ({error.strerror or error}), and "
                    "nothing leaves without it: nothing was sent"
                ) from None
            self._told = False
            return self.head.number

    def report(self, fields: dict[str, Any]) -> None:
        """An outcome. Where it can't be written it waits, and every later intent with it."""
        with self._mutex:
            try:
                self._catch_up()
                self._write(Kind.OUTCOME, fields)
            except OSError as error:
                self._waiting.append((Kind.OUTCOME, fields))
                self._tell(error)

    def close(self) -> None:
        self._stop.set()
        self._sign()
        with self._mutex:
            try:
                self._catch_up()
                if self._unsynced:
                    os.fsync(self._file)
            except OSError as error:
                self._tell(error)
            self._unsynced = False  # the thread has nothing more to do
            os.close(self._file)
            os.close(self._lock)
        logger.info("ledger %s: closed; head %s", self.path, self.head)

    def _begin(self) -> None:
        self._file = os.open(self.path, _FLAGS, _MODE)
        last, whole = _last_line(self._file)
        self._size = os.fstat(self._file).st_size
        self._segment = max(sealed(self.path), default=0) + 1
        self._waiting = [(Kind.OPEN, {"version": VERSION, "process": os.getpid()})]
        if self._size > whole:
            self._cut(whole)
        if not last and self._segment > 1:
            last = _last_line_of(sealed_path(self.path, self._segment - 1))
        if last:
            self._follow(last)
        self._ended = self._ended and whole > 0
        with suppress(OSError):  # it waits: a full disk must not keep a server from its start
            self._catch_up()

    def _cut(self, whole: int) -> None:
        """What a killed process, or a power cut, left unfinished."""
        tail = os.pread(self._file, self._size - whole, whole)
        os.ftruncate(self._file, whole)
        digest = hashlib.sha256(tail).hexdigest()
        self._waiting.append((Kind.CUT, {"bytes": len(tail), "sha256": digest}))
        logger.warning("ledger %s: an unfinished line of %d bytes is cut", self.path, len(tail))
        self._size = whole

    def _follow(self, last: bytes) -> None:
        row = parse_line(last)
        if row is None:
            raise ConfigurationError(
                f"the ledger {self.path} is damaged at its end: `hem ledger verify {self.path}` "
                "says where; move its files away, and another begins"
            )
        self.head = Head(row["n"], digest_of(last))
        self._ended = row["kind"] == Kind.SEAL

    def _catch_up(self) -> None:
        """Writes what waits, in a segment that has room. Raises OSError."""
        if self._ended or self._size >= self._segment_bytes:
            self._roll()
        while self._waiting:
            self._write(*self._waiting[0])
            del self._waiting[0]

    def _roll(self) -> None:
        """Each step may fail, and is then done by the next call."""
        if not self._ended:
            self._write(Kind.SEAL, {"segment": self._segment})
            self._ended = True
        if self._unsynced:
            os.fsync(self._file)
        os.rename(self.path, sealed_path(self.path, self._segment))
        logger.info("ledger %s: segment %d is sealed; head %s", self.path, self._segment, self.head)
        file = os.open(self.path, _FLAGS, _MODE)
        os.close(self._file)
        self._file, self._size, self._ended = file, 0, False
        self._segment += 1
        self._waiting.insert(0, (Kind.OPEN, {"version": VERSION, "segment": self._segment}))

    def _write(self, kind: Kind, fields: dict[str, Any]) -> None:
        """One whole line, or none. Raises OSError."""
        line = written(self.head, kind, fields, self._signer)
        done = 0
        try:
            done = os.write(self._file, line)
            if done < len(line):
                raise OSError(f"no room for a line of {len(line)} bytes")
        except OSError:
            if done:
                os.ftruncate(self._file, self._size)
            raise
        self._size += done
        self.head = Head(self.head.number + 1, digest_of(line))
        self._unsynced = self._syncs
        self._unsigned = self._signer is not None and kind is not Kind.SIGN

    def _tell(self, error: OSError) -> None:
        """One line, until it can be written again."""
        if not self._told:
            reason = error.strerror or error
            logger.error("ledger %s: can't be written: %s; nothing leaves", self.path, reason)
        self._told = True

    def _sign(self) -> None:
        """What came since the last signature."""
        with self._mutex:
            if not self._unsigned:
                return
            try:
                self._catch_up()
                self._write(Kind.SIGN, {})
            except OSError as error:
                self._tell(error)

    def _sign_until_stopped(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            self._sign()

    def _sync_until_stopped(self, seconds: float) -> None:
        while not self._stop.wait(seconds):
            with self._mutex:
                if not self._unsynced:
                    continue
                self._unsynced = False
                file = os.dup(self._file)
            try:
                os.fsync(file)
            except OSError as error:
                logger.error("ledger %s: can't be forced to disk: %s", self.path, error)
            finally:
                os.close(file)


def _locked(path: Path) -> int:
    """Beside the ledger, whose own file is renamed at each seal."""
    lock = os.open(path.with_name(path.name + LOCK_SUFFIX), os.O_RDWR | os.O_CREAT, _MODE)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ConfigurationError(
            f"the ledger {path} is being written by another process: each needs a path of its own; "
            "{hostname} in it stands for the pod's name"
        ) from None
    return lock


def _last_line_of(path: Path) -> bytes:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return _last_line(file)[0]
    finally:
        os.close(file)


def _last_line(file: int) -> tuple[bytes, int]:
    """The last whole line, empty where there is none, and where it ends."""
    size = os.fstat(file).st_size
    begin = size
    tail = b""
    while begin and tail.count(b"\n") < 2 and len(tail) < 2 * MAX_LINE_BYTES:
        step = min(begin, _STEP_BYTES)
        begin -= step
        tail = os.pread(file, step, begin) + tail
    whole = tail.rfind(b"\n") + 1
    if not whole and begin:
        raise OSError(f"it ends in {len(tail)} bytes that are no line")
    lines = tail[:whole].split(b"\n")
    return (lines[-2] if whole else b""), begin + whole
