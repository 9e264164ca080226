"""What `hem feedback send` does once its options are read: requests, the queue, its report."""

import json
import os
import re
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from inferencegraph.commands.feedback_server import called
from predictors.errors import Cause, ConfigurationError, UpstreamError
from predictors.jsonl import append_line, read_rows
from transformers_hem.feedback.client import FeedbackClient

AT_ONCE: Final = 500  # of a file, in one request
AT_ONCE_BYTES: Final = 2**20  # servers refuse larger ones, by 8 MiB unless told otherwise
# What a queue is for: perhaps it arrived, and its key makes that harmless.
_LATER: Final = (Cause.UNREACHABLE, Cause.TIMEOUT, Cause.SERVER_ERROR, Cause.THROTTLED)
_STATES: Final = {
    "new": "kept",
    "duplicate": "there already",
    "replaces": "kept, in place of what was said before",
}


@dataclass(frozen=True, slots=True)
class Said:
    """What is to be sent. file, lines: where it stands, where it comes from a file."""

    rows: Sequence[dict[str, Any]]
    file: Path | None = None
    lines: Sequence[int] = ()

    def by(self, client: str | None) -> "Said":
        """Said by `client`, as far as it names nobody."""
        if client is None:
            return self
        named = [row if "client_hash" in row else {"client": client, **row} for row in self.rows]
        return replace(self, rows=named)


def of_one(row: dict[str, Any]) -> Said:
    return Said([row])


def of_file(path: Path) -> Said:
    """Raises ConfigurationError."""
    numbered = list(read_rows(path))
    return Said([row for _, row in numbered], path, [line for line, _ in numbered])


def run(said: Said, url: str, key_file: Path | None, queue: Path | None, as_json: bool) -> None:
    """Sends it, and tells what the server made of it; what the server can't take now is kept in
    `queue`, where there is one. Raises HEMError."""
    rows = said.rows if queue is None else [_with_key(row) for row in said.rows]
    told: list[dict[str, Any]] = []

    async def work(client: FeedbackClient) -> None:
        for some in _batched(rows):
            told.extend(await _sent(client, some))

    try:
        called(url, key_file, work)
    except UpstreamError as error:
        if said.file is not None and error.answered == HTTPStatus.BAD_REQUEST:
            why = _refused(str(error), said.file, said.lines, len(told))
            raise ConfigurationError(why) from None
        if queue is None or error.cause not in _LATER:
            raise
        _keep(rows[len(told) :], queue)
        print(f"{error}; kept in {queue}: send it by --data {queue}", file=sys.stderr)
        return
    print(json.dumps(told) if as_json else _text(told))


async def _sent(client: FeedbackClient, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What the server tells of each; it is asked again where it takes no more for a while. Raises
    UpstreamError."""

    def throttled(error: BaseException) -> bool:
        return isinstance(error, UpstreamError) and error.answered == HTTPStatus.TOO_MANY_REQUESTS

    def as_told(state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        seconds = getattr(error, "retry_after", None) or 1.0
        print(f"{error}; waiting for {seconds:.0f} s", file=sys.stderr)
        return float(seconds)

    retrying = AsyncRetrying(retry=retry_if_exception(throttled), wait=as_told, reraise=True)
    told: dict[str, Any] = await retrying(client.send, rows)
    return list(told["feedback"])


def _refused(why: str, path: Path, lines: Sequence[int], kept: int) -> str:
    """The server counts from where a request began; who reads this looks into the file."""
    found = re.search(r"feedback\[(\d+)\]", why)
    number = kept + int(found[1]) if found else kept
    line = lines[min(number, len(lines) - 1)]
    before = f"; the {kept} before line {lines[kept]} are kept" if kept else "; nothing was kept"
    return f"{path}, line {line}: {why}{before}"


def _with_key(row: dict[str, Any]) -> dict[str, Any]:
    """So that it counts once however often it is sent, and with its time."""
    return {"key": uuid.uuid4().hex, "at": time.time(), **row}


def _keep(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Behind what the file has. Raises ConfigurationError."""
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path} can't be written: {error.strerror}") from None
    try:
        if (size := os.fstat(handle).st_size) and os.pread(handle, 1, size - 1) != b"\n":
            os.write(handle, b"\n")  # half a line of another program must not take ours with it
        for row in rows:
            append_line(handle, row, path)
        os.fsync(handle)
    finally:
        os.close(handle)


def _batched(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """As many as one request may have, by number and by bytes."""
    some: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        bytes_ = len(json.dumps(row))
        if some and (len(some) == AT_ONCE or size + bytes_ > AT_ONCE_BYTES):
            yield some
            some, size = [], 0
        some.append(row)
        size += bytes_
    if some:
        yield some


def _text(told: Sequence[Mapping[str, Any]]) -> str:
    states = Counter(each["state"] for each in told)
    lines = [
        ", ".join(f"{states[state]} {text}" for state, text in _STATES.items() if states[state])
    ]
    if unknown := sum(not each["known"] for each in told):
        one = "1 of a request that is not known there (yet): it waits for its decision"
        many = (
            f"{unknown} of requests that are not known there (yet): they wait for their decisions"
        )
        lines.append(one if unknown == 1 else many)
    if ahead := [each["clock_ahead"] for each in told if "clock_ahead" in each]:
        lines.append(f"Your clock is up to {max(ahead):g} s ahead of the server's.")
    return "\n".join(lines)
