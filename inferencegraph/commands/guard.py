"""`hem guard`: a command for each thing that is done with guards."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inferencegraph.commands.options import AsJson, Command

if TYPE_CHECKING:
    from rich.table import Table

    from transformers_hem.guards.privacy.measuring import Measurement

MISSED = 1

guard = typer.Typer(invoke_without_command=True, rich_markup_mode="markdown")


@guard.callback()
def _guard(context: typer.Context) -> None:
    """Measures guards.

    Example: `hem guard test --data rows.jsonl`
    """
    if context.invoked_subcommand is None:
        print(context.get_help(), end="")


@guard.command("test", cls=Command)
def test(
    data: Annotated[
        Path,
        typer.Option(
            help="JSONL rows {text, items}; an item is {kind, start, end} or {kind, text}. Kinds: "
            "{transformers_hem.guards.privacy:DETECTORS}, word, or a pattern's name.",
            show_default=False,
        ),
    ],
    parameters: Annotated[
        str,
        typer.Option(help="Of PrivacyGuard, as in HEM_GUARDS: a JSON object.", show_default=False),
    ] = "",
    least_recall: Annotated[
        float, typer.Option(min=0, max=1, help="Exit code 1 where a kind has less.")
    ] = 0,
    most_alarms: Annotated[
        float,
        typer.Option(min=0, max=1, help="Exit code 1 where more of the texts without items alarm."),
    ] = 1,
    as_json: AsJson = False,
) -> int:
    """Measures how much of what is private PrivacyGuard finds: precision and recall of each kind,
    and how many texts without anything private it would keep at the edge.

    Example: `hem guard test --data rows.jsonl --least-recall 0.95`
    """
    from rich.console import Console

    from transformers_hem.algorithms.parameters import read_parameters

    _, values = read_parameters(parameters, "--parameters")
    measurement = _measured(data, values)
    if as_json:
        print(json.dumps(measurement.as_json()))
    else:
        Console(highlight=False).print(_table(measurement))
    recalls = [of.recall for of in measurement.kinds.values() if of.recall is not None]
    missed = min(recalls, default=1.0) < least_recall
    alarmed = measurement.alarmed > most_alarms * measurement.clean
    return MISSED if missed or alarmed else 0


def _measured(data: Path, values: dict[str, str]) -> "Measurement":
    from transformers_hem.algorithms.parameters import parse
    from transformers_hem.guards import GUARDS

    kind = GUARDS.load("PrivacyGuard")  # says which extra is missing
    from transformers_hem.guards.privacy.base import PrivacyParameters
    from transformers_hem.guards.privacy.detectors import Detectors
    from transformers_hem.guards.privacy.measuring import measure, read_labelled

    known = parse("PrivacyGuard", kind, values)
    assert isinstance(known, PrivacyParameters)
    return measure(Detectors(known), read_labelled(data))


def _table(measurement: "Measurement") -> "Table":
    from rich.table import Table

    table = Table("kind", "items", "recall", "found", "precision", "alarms")
    table.caption = (
        f"{measurement.texts} texts; {measurement.alarmed} of the {measurement.clean} without items"
        " would stay at the edge"
    )
    for kind, of in measurement.kinds.items():
        shares = ("-" if share is None else f"{share:.3f}" for share in (of.recall, of.precision))
        recall, precision = shares
        table.add_row(kind, str(of.items), recall, str(of.found), precision, str(of.alarms))
    return table
