"""A row can fail, for each reason that there is, and the table shows every figure."""

import io
from typing import Any

import pytest
from rich.console import Console

from tests.soak.good_load import Outcome
from tests.soak.table import Row, percentile, show

FINE = [Outcome(at / 10, 0.1, "right", "qa-edge") for at in range(400)]


def row(part: str, *more: Outcome, **fields: Any) -> Row:
    outcomes = [*FINE, *more]
    settings = {"began": 0.0, "healed": 25.0, "normal": 0.5, "back": 5.0, **fields}
    return Row("a fault", part, outcomes=outcomes, **settings)


def slow(begin: float, seconds: float) -> list[Outcome]:
    return [Outcome(begin + at / 10, seconds, "right", "qa-edge") for at in range(9)]


@pytest.mark.parametrize("part", ["cloud", "caller", "edge", "uplink", "hem", "nothing"])
def test_a_row_in_which_all_is_answered_stands(part: str) -> None:
    assert row(part).complaints() == []


@pytest.mark.parametrize("part", ["cloud", "caller", "edge"])
@pytest.mark.parametrize("kind", ["lost", "wrong"])
def test_one_lost_or_wrong_answer_fails_a_row(part: str, kind: str) -> None:
    (said,) = row(part, Outcome(1.0, 0.1, kind, said="what it was")).complaints()
    assert said == f"1 {kind}, such as what it was"


def test_an_error_fails_the_cloud_s_row_and_not_that_of_a_near_part() -> None:
    error = Outcome(1.0, 0.1, "error", said="503")
    assert row("cloud", error).complaints() == ["1 error, such as 503"]
    assert row("caller", error).complaints() == ["1 error, such as 503"]
    assert row("uplink", error).complaints() == []


@pytest.mark.parametrize("kind", ["error", "right"])
def test_nobody_waits_for_a_near_part_that_fails(kind: str) -> None:
    (said,) = row("hem", Outcome(1.0, 3.5, kind, said="503")).complaints()
    assert said == "neither an answer nor an error for 3.50 s, above 3 s"


def test_p99_is_bounded_at_first_and_afterwards() -> None:
    assert row("cloud", *slow(2.0, 2.9)).complaints() == []
    (said,) = row("cloud", *slow(2.0, 3.1)).complaints()
    assert said == "p99 at first was 3.10 s, above 3.00 s"
    (said,) = row("cloud", *slow(20.0, 0.9)).complaints()
    assert said == "p99 afterwards was 0.90 s, above 0.50 s"
    assert row("edge", *slow(30.0, 9.0)).complaints() == []


@pytest.mark.parametrize(("back", "fails"), [(9.9, False), (10.1, True), (None, True)])
@pytest.mark.parametrize("part", ["cloud", "edge"])
def test_a_part_is_back_in_time_or_its_row_fails(
    part: str, back: float | None, fails: bool
) -> None:
    assert any("recovery" in said for said in row(part, back=back).complaints()) is fails


def test_notes_and_500s_of_bad_callers_fail_a_row() -> None:
    assert row("cloud", notes=["edge was replaced"]).complaints() == ["edge was replaced"]
    statuses = {"forged fields": {400: 3, 500: 2}}
    (said,) = row("caller", statuses=statuses).complaints()
    assert said == "forged fields was answered 500, 2 times"


def test_a_row_without_a_request_fails() -> None:
    assert "no request was made" in Row("a fault", "edge").complaints()


def test_what_was_not_run_says_why() -> None:
    skipped = Row("20% packet loss", "cloud", skipped="nft not installed")
    assert skipped.complaints() == []
    assert "not run: nft not installed" in shown(skipped)


def test_the_table_shows_the_figures_and_why_a_row_fails() -> None:
    text = shown(row("cloud", Outcome(1.0, 2.5, "wrong", "qa-edge", "half an answer")))
    (line,) = [each for each in text.splitlines() if "a fault" in each and "│" in each]
    cells = [cell.strip() for cell in line.strip("│").split("│")]
    assert cells == [
        *("a fault", "cloud", "401", "0", "1", "0"),
        *("0.10", "0.10", "0.10", "0.10", "5.0", "fails"),
    ]
    assert "cloud, a fault: 1 wrong, such as half an answer" in text


def test_percentiles_are_by_nearest_rank() -> None:
    assert percentile([], 99) == 0
    assert percentile([3.0, 1.0, 2.0], 50) == 2.0
    assert percentile([float(n) for n in range(100)], 99) == 99.0


def shown(*rows: Row) -> str:
    console = Console(width=180, file=io.StringIO())
    with console.capture() as captured:
        show(rows, console)
    return captured.get()
