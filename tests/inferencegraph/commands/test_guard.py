"""`hem guard test` as a user runs it."""

import json
from pathlib import Path

import pytest

from tests.inferencegraph.running_hem import hem

ROWS = [
    {"text": "mail anna@b.com now", "items": [{"kind": "email", "text": "anna@b.com"}]},
    {"text": "name Bob", "items": [{"kind": "person", "start": 5, "end": 8}]},
    {"text": "is bob@b.com known?", "items": []},
    {"text": "nothing"},
]


def rows(folder: Path, *lines: object) -> str:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


def test_precision_and_recall_of_each_kind(tmp_path: Path) -> None:
    data = rows(tmp_path, *ROWS)
    told = hem("guard", "test", "--data", data)
    assert told.returncode == 0, told.stderr
    assert "1 of the 2 without items would stay at the edge" in told.stdout
    measured = json.loads(hem("guard", "test", "--data", data, "--json").stdout)
    assert (measured["texts"], measured["clean"], measured["alarmed"]) == (4, 2, 1)
    assert measured["kinds"] == {
        "email": {"items": 1, "found": 2, "recall": 1.0, "precision": 0.5, "alarms": 1},
        "person": {"items": 1, "found": 0, "recall": 0.0, "precision": None, "alarms": 0},
    }


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--least-recall", "0.5"], 1),  # of persons it finds none
        (["--most-alarms", "0.4"], 1),
        (["--most-alarms", "0.5"], 0),
        (["--parameters", '{"kinds": "card"}', "--most-alarms", "0"], 0),
    ],
)
def test_less_than_was_asked_for_exits_with_one(
    tmp_path: Path, options: list[str], code: int
) -> None:
    assert hem("guard", "test", "--data", rows(tmp_path, *ROWS), *options).returncode == code


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"items": []}, "line 1: 'text' must be a string"),
        ({"text": "x", "items": {}}, "line 1: 'items' must be a list"),
        ({"text": "x", "items": [{"kind": "a", "start": 0, "end": 2}]}, "not within the text's 1"),
        ({"text": "x", "items": [{"kind": "a", "text": "y"}]}, "items[0]: the text has no 'y'"),
        ({"text": "x", "items": [{"text": "x"}]}, "must be {kind, start, end} or {kind, text}"),
    ],
)
def test_a_row_that_is_wrong_is_named(tmp_path: Path, row: object, fault: str) -> None:
    told = hem("guard", "test", "--data", rows(tmp_path, row))
    assert (told.returncode, told.stdout) == (2, "")
    assert fault in told.stderr and told.stderr.count("\n") == 1


def test_parameters_are_those_of_the_guard(tmp_path: Path) -> None:
    told = hem("guard", "test", "--data", rows(tmp_path, *ROWS), "--parameters", '{"kind": "x"}')
    assert told.returncode == 2
    assert "PrivacyGuard has no parameter 'kind'" in told.stderr
    told = hem("guard", "test", "--data", rows(tmp_path, *ROWS), "--parameters", "kinds=card")
    assert told.returncode == 2 and "error: --parameters is not JSON" in told.stderr


def test_alone_it_shows_what_there_is() -> None:
    told = hem("guard")
    assert told.returncode == 0
    assert "test" in told.stdout and "Example: hem guard test" in told.stdout
