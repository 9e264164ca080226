"""`hem feedback`: says how good an answer was, and does what is done with what was said."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from inferencegraph.commands import feedback_options as given
from inferencegraph.commands.counts import counted
from inferencegraph.commands.feedback_server import called
from inferencegraph.commands.options import AsJson, Command
from predictors.errors import ConfigurationError

GATEWAY: Final = "http://127.0.0.1:8180"  # of `hem up`

feedback = typer.Typer(
    name="feedback",
    help="Says how good answers were, and exports, counts or forgets what was said.",
)


@feedback.command(cls=Command)
def send(
    request_id: given.RequestId = None,
    thumbs: given.Thumbs = None,
    rating: given.Rating = None,
    scale: given.Scale = None,
    correct: given.Correct = None,
    answer: given.Answer = None,
    preferred: given.Preferred = None,
    key: given.Key = None,
    data: given.Data = None,
    client: given.Client = None,
    queue: given.Queue = None,
    url: given.Url = GATEWAY,
    key_file: given.KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Says how good one answer was, or many.

    Example: `hem feedback send 5f0c... --thumbs down --answer "432"`

    Example: `hem feedback send --data said.jsonl --key-file admin.key`
    """
    from inferencegraph.commands.sending import of_file, of_one, run

    told = {
        "request_id": request_id,
        "thumbs": thumbs,
        "rating": rating,
        "scale": list(scale) if scale else None,
        "correct": correct,
        "answer": answer,
        "preferred": preferred,
        "key": key,
    }
    one = {name: value for name, value in told.items() if value is not None}
    if (data is None) == (not one):
        raise ConfigurationError("give a request's id and what you say of it, or --data FILE")
    said = of_one(one) if data is None else of_file(data)
    run(said.by(client), url, key_file, queue, as_json)


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
    store: given.Store = None,
    url: given.Url = GATEWAY,
    key_file: given.KeyFile = None,
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
    print(f"{out}: {counted(count, 'row')}")


@feedback.command(cls=Command)
def status(
    url: given.Url = GATEWAY, key_file: given.KeyFile = None, as_json: AsJson = False
) -> None:
    """How much there is.

    Example: `hem feedback status`
    """
    found = called(url, key_file, lambda client: client.status())
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
    url: given.Url = GATEWAY,
    key_file: given.KeyFile = None,
    as_json: AsJson = False,
) -> None:
    """Sends all of a store on to another server, which takes each record once; an admin may.

    Example: `hem feedback push --store edge.db --url https://central.example --key-file key`
    """
    from transformers_hem.feedback.place import read_place, require_installed

    place = read_place(store, "--store")
    require_installed(place)
    from transformers_hem.feedback.pushing import push_all

    decisions, said = called(url, key_file, lambda client: push_all(place, client))
    if as_json:
        print(json.dumps({"decisions": decisions, "feedback": said}))
        return
    print(f"new there: {_numbers(decisions, said)}")


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
    url: given.Url = GATEWAY,
    key_file: given.KeyFile = None,
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
    deleted = called(url, key_file, lambda client: client.delete(asked))
    print(json.dumps(deleted) if as_json else _deleted(deleted))


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
        called(url, key_file, lambda client: client.export(sink, since, both=both))
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


def _span(found: dict[str, Any]) -> str:
    """When the oldest and the newest came."""
    if found["first"] is None:
        return ""
    first, last = (
        datetime.fromtimestamp(found[end], UTC).strftime("%Y-%m-%d %H:%M")
        for end in ("first", "last")
    )
    return f", {first} to {last} UTC"


def _deleted(deleted: dict[str, int]) -> str:
    return f"deleted: {_numbers(deleted.get('decisions', 0), deleted.get('feedback', 0))}"


def _numbers(decisions: int, said: int) -> str:
    return f"{counted(decisions, 'decision')}, {counted(said, 'feedback')}"
