"""Imported rows hold nothing private, whatever stands for it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.evaluate.importing.redacting import KEY, Redact
from inferencegraph.evaluate.importing.report import Report
from inferencegraph.evaluate.importing.run import Job, import_rows
from predictors.errors import ConfigurationError

EMAIL, CARD = "anna@example.com", "4111 1111 1111 1111"
CALL = {"id": "c", "function": {"name": "f", "arguments": json.dumps({"to": EMAIL})}}
LOGS: list[dict[str, Any]] = [
    {
        "messages": [
            {"role": "system", "content": f"You serve {EMAIL}."},
            {"role": "user", "content": "look"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c", "content": "none"},
            {"role": "user", "content": f"Write to {EMAIL}, card {CARD}."},
            {"role": "assistant", "content": f"{EMAIL} has it."},
        ]
    },
    {"messages": [{"role": "user", "content": f"And {CARD}?"}]},
    {"messages": [{"role": "user", "content": "Nothing private here."}]},
]


def imported(
    folder: Path, redact: Redact | None, logs: list[Any] = LOGS, **job: Any
) -> tuple[list[dict[str, Any]], Report]:
    source, out = folder / "logs.jsonl", folder / "rows.jsonl"
    source.write_text("".join(json.dumps(each) + "\n" for each in logs))
    report = import_rows(Job("openai-chat", [source], out, redact=redact, force=True, **job))
    return [json.loads(line) for line in out.read_text().splitlines()], report


@pytest.mark.parametrize(
    ("redact", "query"),
    [
        ("placeholder", r"Write to <EMAIL_1>, card <CARD_1>\."),
        ("drop", r"Write to , card \."),
        ("hash", r"Write to <EMAIL_[0-9A-F]{12}>, card <CARD_[0-9A-F]{12}>\."),
    ],
)
def test_items_are_gone_from_all_fields_of_a_row(
    tmp_path: Path, redact: Redact, query: str
) -> None:
    rows, report = imported(tmp_path, redact)
    written = json.dumps(rows)
    assert EMAIL not in written and CARD not in written
    assert re.fullmatch(query, rows[0]["query"])
    arguments = rows[0]["messages"][2]["tool_calls"][0]["function"]["arguments"]
    assert EMAIL not in arguments and "to" in json.loads(arguments)
    assert rows[2]["query"] == "Nothing private here."
    assert report.facts()["redacted"] == {"email": 1, "card": 2}
    assert "redacted: 2 card, 1 email" in report.lines()


def test_without_it_rows_are_as_they_were(tmp_path: Path) -> None:
    rows, report = imported(tmp_path, None)
    assert EMAIL in rows[0]["query"]
    assert "redacted" not in report.facts()


def test_a_hash_is_the_same_in_all_rows_and_another_one_in_each_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(KEY, raising=False)
    logs = [{"messages": [{"role": "user", "content": f"{n} {EMAIL}"}]} for n in range(2)]

    def hashes() -> list[str]:
        return [row["query"][2:] for row in imported(tmp_path, "hash", logs)[0]]

    first, second = hashes(), hashes()
    assert first[0] == first[1] != second[0] == second[1]
    monkeypatch.setenv(KEY, "k" * 16)
    assert hashes() == hashes()
    monkeypatch.setenv(KEY, "short")
    with pytest.raises(ConfigurationError, match=f"{KEY} must have 16 to 64 bytes"):
        hashes()


def test_what_cant_be_redacted_is_left_out_and_counted(tmp_path: Path) -> None:
    """A role is of a list of the API's."""
    logs = [{"messages": [{"role": EMAIL, "content": "hi"}, *LOGS[2]["messages"]]}, LOGS[2]]
    rows, report = imported(tmp_path, "placeholder", logs)
    assert len(rows) == 1
    assert report.left_out == {"something private that can't be redacted": 1}


def test_what_is_told_of_an_import_has_no_item_either(tmp_path: Path) -> None:
    logs = [{"id": EMAIL, "messages": [{"role": "user", "content": [{"type": EMAIL}]}]}, LOGS[2]]
    _, report = imported(tmp_path, "placeholder", logs)
    told = " ".join(report.lines()) + json.dumps(report.facts())
    assert "images or other parts" in told and EMAIL not in told
    with pytest.raises(ConfigurationError) as refused:
        imported(tmp_path, "placeholder", logs, strict=True)
    assert EMAIL not in str(refused.value)


def test_the_guards_parameters_choose_what_is_found(tmp_path: Path) -> None:
    rows, _ = imported(tmp_path, "placeholder", redact_parameters='{"kinds": "card"}')
    assert rows[0]["query"] == f"Write to {EMAIL}, card <CARD_1>."
    with pytest.raises(ConfigurationError, match="unknown kind of private item 'cards'"):
        imported(tmp_path, "placeholder", redact_parameters='{"kinds": "cards"}')
    with pytest.raises(ConfigurationError, match=r"^--redact-parameters is not JSON"):
        imported(tmp_path, "placeholder", redact_parameters="kinds=card")


def test_rows_without_texts_pass(tmp_path: Path) -> None:
    """Times and counts of tokens are no numbers of phones."""
    log = {
        "request": {"messages": LOGS[2]["messages"]},
        "response": {
            "created": 1735689600,
            "model": "big",
            "choices": [{"message": {"content": "x"}}],
            "usage": {"prompt_tokens": 12345678, "completion_tokens": 4111111111},
        },
    }
    rows, report = imported(tmp_path, "placeholder", [log])
    assert rows[0]["time"] == 1735689600
    assert report.left_out == {}
