"""The page on importing names all formats, fields and options, and no others."""

import re

from inferencegraph.evaluate.importing import FORMATS
from inferencegraph.evaluate.importing.rows import FIELDS
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "importing.md").read_text()


def table(head: str) -> list[list[str]]:
    """The cells of each row of the table with that head."""
    rows = PAGE.partition(f"\n{head}\n")[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def test_each_format_is_in_the_table_with_a_command_that_names_it() -> None:
    rows = table("| `FORMAT` | reads | what comes out | example |")
    assert sorted(cells[0].strip("`") for cells in rows) == FORMATS.names()
    for name, _, _, example in rows:
        assert example.startswith(f"`hem import {name.strip('`')} ")


def test_each_field_is_in_the_table() -> None:
    assert {cells[0].strip("`"): cells[1] for cells in table("| field | what |")} == FIELDS


def test_each_option_is_in_the_table() -> None:
    named = {
        (format, option)
        for cells in table("| option | of | what |")
        for option in re.findall(r"`(\w+)`", re.sub(r"\(.*?\)", "", cells[0]))
        for format in re.findall(r"`([\w-]+)`", cells[1])
    }
    known = {
        (name, option)
        for name in FORMATS.names()
        for option in FORMATS.load(name).Options.model_fields
    }
    assert named == known
