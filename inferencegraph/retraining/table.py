"""The versions of a router for people, at 80 columns and more."""

from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from transformers_hem.versions.pointer import Switch
from transformers_hem.versions.record import Version

SWITCHES: Final = 5  # the newest, that are shown
_PADDING: Final = (0, 2, 0, 0)


def versions_table(
    versions: Iterable[Version], current: int | None, switches: Sequence[Switch]
) -> RenderableType:
    shown: list[RenderableType] = [_versions(versions, current)]
    if switches:
        shown += [Text(), _switches(switches[-SWITCHES:])]
    return Group(*shown)


def _versions(versions: Iterable[Version], current: int | None) -> Table:
    table = _table("version", "made (UTC)", "router", "promise")
    for each in versions:
        now = each.number == current
        style = "bold" if now else ""
        table.add_row(
            Text(f"{'*' if now else ' '} {each.number}", style),
            _moment(each.made),
            Text(f"{each.algorithm}\n{each.origin.how}"),
            Text(each.promise or "none"),
        )
    table.caption = "* is in force"
    return table


def _switches(switches: Iterable[Switch]) -> Table:
    table = _table("switched (UTC)", "to", "why")
    for each in switches:
        to = f"back to {each.to}" if each.how == "rolled back" else f"{each.to}, {each.how}"
        table.add_row(_moment(each.at), to, Text(each.why))
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=_PADDING, caption_justify="left")
    for column in columns[:-1]:
        table.add_column(column, no_wrap=True)
    table.add_column(columns[-1], overflow="fold")
    return table


def _moment(at: str) -> str:
    """Of ISO 8601 in UTC."""
    return at[:16].replace("T", " ")
