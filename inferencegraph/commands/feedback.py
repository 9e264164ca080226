"""`hem feedback`: says how good an answer was, and does what is done with what was said."""

import json
import os
import re
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypeVar

import typer

from inferencegraph.commands.options import AsJson, Command
from predictors.errors import Cause, ConfigurationError, UpstreamError

if TYPE_CHECKING:
    from transformers_hem.feedback.client import FeedbackClient

T = TypeVar("T")

AT_ONCE: Final = 500  # of a file, in one request
AT_ONCE_BYTES: Final = 2**20  # servers refuse larger ones, by 8 MiB unless told otherwise
# What a queue is for: perhaps it arrived, and its key makes that harmless.
_LATER: Final = (Cause.UNREACHABLE, Cause.TIMEOUT, Cause.SERVER_ERROR, Cause.THROTTLED)
GATEWAY: Final = "http://127.0.0.1:8180"  # of `hem up`

Url = Annotated[str, typer.Option(help="The HEM server, or its gateway.")]
KeyFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Holds the key to call it with.", show_default=False),
]
Store = Annotated[
    str | None,
    typer.Option(
        metavar="STORE",
        help="Instead of a server: a store's file, or PostgreSQL's URL.",
        show_default=False,
    ),
]

feedback = typer.Typer(
    name="feedback",
    help="Says how good answers were, and exports, counts or forgets what was said.",
)


@feedback.command(cls=Command)
def send(
    request_id: Annotated[
        str | None,
        typer.Argument(help="Of the answer: its x-request-id, or id.", show_default=False),
    ] = None,
    thumbs: Annotated[Literal["up", "down"] | None, typer.Option(show_default=False)] = None,
    rating: Annotated[
        float | None, typer.Option(help="From 1 to 5, unless --scale.", show_default=False)
    ] = None,
    scale: Annotated[
        tuple[float, float] | None,
        typer.Option(metavar="LOW HIGH", help="Of --rating.", show_default=False),
    ] = None,
    correct: Annotated[bool | None, typer.Option("--correct/--wrong", show_default=False)] = None,
    answer: Annotated[
        str | None, typer.Option(help="The right answer, where it was wrong.", show_default=False)
    ] = None,
    preferred: Annotated[
        Literal["edge", "cloud", "tie"] | None,
        typer.Option(help="The side whose answer is better.", show_default=False),
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Makes it one, however often it is sent.", show_default=False),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="JSONL rows {request_id, key, at, client or client_hash}, and thumbs, rating, "
            "correct, answer or preferred.",
            show_default=False,
        ),
    ] = None,
    client: Annotated[
        str | None,
        typer.Option(
            help="Who says it, where that is not you: a name, as in HEM_CLIENT_HEADER. An admin "
            "may. Of --data: of rows that name nobody.",
            show_default=False,
        ),
    ] = None,
    queue: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Where the server can't be reached, or fails: keep it there, for --data later.",
            show_default=False,
        ),
    ] = None,
    url: Url = GATEWAY,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Says how good one answer was, or many.

    Example: `hem feedback send 5f0c... --thumbs down --answer "432"`

    Example: `hem feedback send --data said.jsonl --key-file admin.key`
    """
    one = {
        "request_id": request_id,
        "thumbs": thumbs,
        "rating": rating,
        "scale": list(scale) if scale else None,
        "correct": correct,
        "answer": answer,
        "preferred": preferred,
        "key": key,
    }
    said = {name: value for name, value in one.items() if value is not None}
    if (data is None) == (not said):
        raise ConfigurationError("give a request's id and what you say of it, or --data FILE")
    lines, rows = ([0], [said]) if data is None else _rows(data)
    if client is not None:
        rows = [row if "client_hash" in row else {"client": client, **row} for row in rows]
    if queue is not None:
        rows = [_named(row) for row in rows]

    told: list[dict[str, Any]] = []

    async def work(client: "FeedbackClient") -> None:
        for some in _batched(rows):
            told.extend(await _sent(client, some))

    try:
        _called(url, key_file, work)
    except UpstreamError as error:
        if data is not None and error.answered == HTTPStatus.BAD_REQUEST:
            raise ConfigurationError(_refused(str(error), data, lines, len(told))) from None
        if queue is None or error.cause not in _LATER:
            raise
        _queue(rows[len(told) :], queue)
        print(f"{error}; kept in {queue}: send it by --data {queue}", file=sys.stderr)
        return
    if as_json:
        print(json.dumps(told))
        return
    _tell(told)


@feedback.command(cls=Command)
def export(
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Default: the terminal.", show_default=False),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="2026-11-29, 2026-11-29T12:00 (UTC), or how long ago: 90m, 24h, 7d. Default: all.",
            show_default=False,
        ),
    ] = None,
    both: Annotated[
        bool,
        typer.Option("--both", help="Only rows with a score of each side, as `hem train` takes."),
    ] = False,
    store: Store = None,
    url: Url = GATEWAY,
    key_file: KeyFile = None,
) -> None:
    """Rows to train on, as JSON Lines: {query, edge_score, cloud_score, weight, ...}.

    Example: `hem feedback export --both --out rows.jsonl`
    """
    from predictors.jsonl import writing

    seconds = None if since is None else _seconds(since, "--since")
    if out is None:
        _export(store, url, key_file, seconds, both, sys.stdout.buffer.write)
        sys.stdout.flush()
        return
    count = 0
    with writing(out) as file:

        def write(chunk: bytes) -> None:
            nonlocal count
            count += chunk.count(b"\n")
            file.write(chunk)

        _export(store, url, key_file, seconds, both, write)
    print(f"{out}: {count} rows")


@feedback.command(cls=Command)
def status(url: Url = GATEWAY, key_file: KeyFile = None, as_json: AsJson = False) -> None:
    """How much there is.

    Example: `hem feedback status`
    """
    found = _called(url, key_file, lambda client: client.status())
    if as_json:
        print(json.dumps(found))
        return
    texts = "with texts" if found["text"] else "without texts"
    print(f"{found['store']}, {texts}")
    for name in ("decisions", "feedback"):
        print(f"{name}: {found[name]['rows']:,}{_span(found[name])}")
    print(f"feedback for requests that are not known: {found['unknown']:,}")


@feedback.command(cls=Command)
def push(
    store: Annotated[
        str, typer.Option(metavar="STORE", help="A store's file.", show_default=False)
    ],
    url: Url = GATEWAY,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Sends all of a store on to another server, which takes each record once; an admin may.

    Example: `hem feedback push --store edge.db --url https://central.example --key-file key`
    """
    from transformers_hem.feedback.place import read_place, require_installed

    place = read_place(store, "--store")
    require_installed(place)
    from transformers_hem.feedback.pushing import push_all

    decisions, said = _called(url, key_file, lambda client: push_all(place, client))
    if as_json:
        print(json.dumps({"decisions": decisions, "feedback": said}))
        return
    print(f"new there: {decisions} decisions, {said} feedbacks")


@feedback.command(cls=Command)
def delete(
    request_id: Annotated[str | None, typer.Option(show_default=False)] = None,
    user: Annotated[
        str | None,
        typer.Option(
            help="The caller's name among the tokens, or the value of its HEM_CLIENT_HEADER: what "
            "it asked, and what was said of that.",
            show_default=False,
        ),
    ] = None,
    client: Annotated[
        str | None, typer.Option(help="The same, by its hash in the store.", show_default=False)
    ] = None,
    before: Annotated[
        str | None, typer.Option(metavar="TIME", help="As for export.", show_default=False)
    ] = None,
    url: Url = GATEWAY,
    key_file: KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Forgets: all that fits each of the options.

    Example: `hem feedback delete --user team-a --before 30d`
    """
    what = {"request_id": request_id, "user": user, "client": client}
    asked: dict[str, Any] = {name: value for name, value in what.items() if value is not None}
    if before is not None:
        asked["before"] = _seconds(before, "--before")
    if not asked:
        raise ConfigurationError("say what is to go: --request-id, --user, --client or --before")
    deleted = _called(url, key_file, lambda client: client.delete(asked))
    print(json.dumps(deleted) if as_json else _deleted(deleted))


def _called(url: str, key_file: Path | None, work: "Callable[[FeedbackClient], Awaitable[T]]") -> T:
    """What `work` makes of the server. Raises HEMError."""
    import asyncio

    from predictors.upstream.openai.endpoint import read_key
    from transformers_hem.feedback.client import FeedbackClient

    key = read_key(key_file, "--key-file") if key_file else ""

    async def called() -> T:
        async with FeedbackClient(url, key) as client:
            return await work(client)

    return asyncio.run(called())


async def _sent(client: "FeedbackClient", rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    """What the server tells of each; it is asked again where it takes no more for a while. Raises
    UpstreamError."""
    from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

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


def _rows(path: Path) -> tuple[list[int], list[dict[str, Any]]]:
    """And the lines they stand on. Raises ConfigurationError."""
    from predictors.jsonl import read_rows

    numbered = list(read_rows(path))
    return [line for line, _ in numbered], [row for _, row in numbered]


def _refused(why: str, path: Path, lines: Sequence[int], kept: int) -> str:
    """The server counts from where a request began; who reads this looks into the file."""
    found = re.search(r"feedback\[(\d+)\]", why)
    number = kept + int(found[1]) if found else kept
    line = lines[min(number, len(lines) - 1)]
    before = f"; the {kept} before line {lines[kept]} are kept" if kept else "; nothing was kept"
    return f"{path}, line {line}: {why}{before}"


def _named(row: dict[str, Any]) -> dict[str, Any]:
    """With a key, so that it counts once however often it is sent, and with its time."""
    return {"key": uuid.uuid4().hex, "at": time.time(), **row}


def _queue(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Behind what the file has. Raises ConfigurationError."""
    from predictors.jsonl import append_line

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


def _export(
    store: str | None,
    url: str,
    key_file: Path | None,
    since: float | None,
    both: bool,
    sink: Callable[[bytes], Any],
) -> None:
    """Raises HEMError."""
    if store is None:
        _called(url, key_file, lambda client: client.export(sink, since, both=both))
        return
    from transformers_hem.feedback.place import read_place, require_installed

    place = read_place(store, "--store")
    require_installed(place)
    from transformers_hem.feedback.exporting import Asked, exported

    for chunk in exported(place, Asked(since, both=both)):
        sink(chunk)


def _seconds(text: str, option: str) -> float:
    from inferencegraph.commands.times import read_time

    return read_time(text, option).timestamp()


def _tell(told: list[dict[str, Any]]) -> None:
    from collections import Counter

    states = Counter(each["state"] for each in told)
    words = {
        "new": "kept",
        "duplicate": "there already",
        "replaces": "kept, in place of what was said before",
    }
    print(", ".join(f"{states[state]} {text}" for state, text in words.items() if states[state]))
    if unknown := sum(not each["known"] for each in told):
        print(f"{unknown} of requests that are not known there (yet): it waits for their decisions")
    ahead = [each["clock_ahead"] for each in told if "clock_ahead" in each]
    if ahead:
        print(f"Your clock is up to {max(ahead):g} s ahead of the server's.")


def _span(counted: dict[str, Any]) -> str:
    """When the oldest and the newest came."""
    if counted["first"] is None:
        return ""
    first, last = (
        datetime.fromtimestamp(counted[end], UTC).strftime("%Y-%m-%d %H:%M")
        for end in ("first", "last")
    )
    return f", {first} to {last} UTC"


def _deleted(deleted: dict[str, int]) -> str:
    decisions, said = deleted.get("decisions", 0), deleted.get("feedback", 0)
    return f"deleted: {decisions} decisions, {said} feedbacks"
