"""`hem ledger verify` and `hem ledger report`."""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

import typer

from inferencegraph.commands.options import AsJson, Command
from inferencegraph.commands.times import read_time

if TYPE_CHECKING:
    from predictors.upstream.ledger.lines import Head
    from predictors.upstream.ledger.report import Report, Sums
    from predictors.upstream.ledger.verify import Verified

BROKEN: Final = 1
UNSIGNED_AT_START: Final = 2  # lines of a ledger that is signed from its beginning: open, cut

Ledger = Annotated[
    Path, typer.Argument(metavar="PATH", help="The ledger's file; its segments lie beside it.")
]
After = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER:HASH",
        help="The last line of segments that were moved away: the chain has to go on from it.",
        show_default=False,
    ),
]

ledger = typer.Typer(
    name="ledger", help="Checks and sums up egress ledgers: what left, and that nothing is missing."
)


@ledger.command(cls=Command)
def verify(
    path: Ledger,
    head: Annotated[
        str | None,
        typer.Option(
            metavar="NUMBER:HASH",
            help="A head that was exported, from the log or the metrics: up to it nothing may be "
            "missing, nor written anew.",
            show_default=False,
        ),
    ] = None,
    after: After = None,
    key: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="PEM file of the public key whose private one has signed it (--ledger_key): all "
            "signatures have to hold, and one has to be there.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Proves that no line of a ledger was changed, removed or moved; exit code 1 and the first bad
    line where one was.

    Example: `hem ledger verify egress.jsonl --head 1041:9f2c51d0a6b7`
    """
    from predictors.upstream.ledger.lines import BEGINNING
    from predictors.upstream.ledger.signing import Checker
    from predictors.upstream.ledger.verify import Broken, verify as verified

    expected = _head(head, "--head")
    checker = Checker(key) if key else None
    try:
        found = verified(path, expected, _head(after, "--after") or BEGINNING, checker)
    except Broken as broken:
        if as_json:
            print(json.dumps({"holds": False, "why": str(broken)}))
        _broken(broken)
    if as_json:
        told = {"holds": True, "files": found.files, "lines": found.lines, "head": str(found.head)}
        signed = {**asdict(found.signed), "checked": checker is not None}
        beside = {"against": head, "open": found.open, "cuts": found.cuts, "signed": signed}
        print(json.dumps({**told, **beside}))
        return
    _tell(path, found, expected, checked=checker is not None)


@ledger.command(cls=Command)
def report(
    path: Ledger,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="2026-11-29, 2026-11-29T12:00 (UTC), or how long ago: 90m, 24h, 7d. Default: all.",
            show_default=False,
        ),
    ] = None,
    by: Annotated[
        Literal["destination", "reason", "day"], typer.Option(help="What the rows are.")
    ] = "destination",
    prices: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Prices, for what it cost.", show_default=False),
    ] = None,
    after: After = None,
    as_json: AsJson = False,
) -> None:
    """What left, why, and how much, from a ledger that holds together; exit code 1 where it does
    not.

    Example: `hem ledger report egress.jsonl --since 7d --by reason`
    """
    from predictors.prices import read_prices
    from predictors.upstream.ledger.report import report as reported
    from predictors.upstream.ledger.verify import Broken

    priced = read_prices(prices) if prices else None
    begin = None if since is None else read_time(since, "--since")
    try:
        made = reported(path, by, begin, priced, *_after(after))
    except Broken as broken:
        _broken(broken)
    currency = priced.currency if priced else None
    if as_json:
        print(json.dumps(made.as_json(currency)))
        return
    _print(made, currency)


def _broken(broken: Exception) -> None:
    print(f"hem: broken: {broken}", file=sys.stderr)
    raise typer.Exit(BROKEN)


def _head(text: str | None, option: str) -> "Head | None":
    from predictors.upstream.ledger.lines import parse_head

    return None if text is None else parse_head(text, option)


def _after(text: str | None) -> "tuple[Head, ...]":
    found = _head(text, "--after")
    return () if found is None else (found,)


def _tell(path: Path, found: "Verified", head: "Head | None", *, checked: bool) -> None:
    many = f" in {found.files} files" if found.files > 1 else ""
    print(f"{path}: {found.lines:,} lines{many} hold together; head {found.head}")
    if head is not None:
        print(f"They have the line of the head {head}: up to it nothing is missing or changed.")
    else:
        print("Without --head it can't be seen whether lines at its end were cut off or rewritten.")
    _tell_signed(found, checked)
    if found.open:
        print(f"Attempts without an outcome (under way, or their process was killed): {found.open}")
    if found.cuts:
        print(f"Unfinished lines that were cut off when it was opened again: {found.cuts}")
    if found.unfinished:
        print(f"Behind its last line are {found.unfinished} bytes of an unfinished one.")


def _tell_signed(found: "Verified", checked: bool) -> None:
    signed = found.signed
    if not signed.count:
        return
    if not checked:
        print(f"Signatures: {signed.count}, not checked: give --key.")
        return
    print(
        f"Signatures: {signed.count}, and all hold. The last one, of {signed.at}, is line "
        f"{signed.last}: all up to it was written by who has the key."
    )
    if behind := found.head.number - signed.last:
        print(f"Lines behind it, which nobody has signed yet: {behind}")
    if signed.first > found.first + UNSIGNED_AT_START:
        print(
            f"Lines before the first signature, line {signed.first}, were there when it was made."
        )


def _print(made: "Report", currency: str | None) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column(made.by)
    names = ["requests", "attempts", "probes", "failed", "unknown", "bytes sent", "received"]
    names += ["tokens in", "out", *([f"cost ({currency})", "unpriced"] if currency else [])]
    for name in names:
        table.add_column(name, justify="right")
    for name, sums in [*made.groups.items(), ("total", made.total())]:
        table.add_row(name, *_cells(sums, currency))
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def _cells(sums: "Sums", currency: str | None) -> list[str]:
    counts = [sums.requests, sums.attempts, sums.probes, sums.failed, sums.unknown, sums.sent]
    counts += [sums.received, sums.prompt_tokens, sums.completion_tokens]
    cells = [f"{count:,}" for count in counts]
    return [*cells, f"{sums.cost:.6f}", f"{sums.unpriced:,}"] if currency else cells
