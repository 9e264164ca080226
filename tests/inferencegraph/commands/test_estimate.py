"""`hem estimate` as a user runs it."""

import json
from pathlib import Path

import pytest

from tests.inferencegraph.running_hem import hem

ROWS = 160


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The edge's answers are recorded: right but where the query says that it is hard."""
    rows = [
        {
            "query": f"{'a hard' if number % 3 == 0 else 'an easy'} thing, number {number}",
            "reference": "right",
            "cloud_answer": "right",
            "cloud_cost": 0.01,
            "edge_answer": "wrong" if number % 3 == 0 else "right",
        }
        for number in range(ROWS)
    ]
    rows.append({"query": "lost?", "reference": "right"})
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "log.jsonl"


def command(log: Path, *others: str) -> list[str]:
    files = ["--data", str(log), "--out", str(log.parent / "out")]
    return ["estimate", *files, "--scorer", "exact_match", *others]


def test_a_decision_in_plain_words_and_as_json(log: Path) -> None:
    told = hem(*command(log, "--max-quality-loss", "0.15", "--per-month", "1000"))
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith("At a loss of quality of at most 0.15 with confidence 0.9 you")
    assert "a month [" in told.stdout and "of the cloud's bill of 10.00" in told.stdout
    assert f"{log}, line {ROWS + 1}: left out: no answer of the cloud" in told.stderr
    facts = hem(*command(log, "--max-quality-loss", "0.15", "--json"))
    assert json.loads(facts.stdout)["promised"] is True
    assert (log.parent / "out" / "estimate.html").read_text().startswith("<!doctype html>")


def test_too_few_rows_exit_with_one_and_say_how_many_more(log: Path) -> None:
    told = hem(*command(log, "--max-quality-loss", "0.002"))
    assert told.returncode == 1
    assert told.stdout.startswith("Not enough data for a loss of quality of at most 0.002")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "give one of --max-quality-loss and --edge-ratio"),
        (["--edge-ratio", "0.5", "--algorithm", "CombinedRouter"], "CombinedRouter mines the ans"),
        (["--edge-ratio", "0.5", "--prices", "PRICES"], "prices.yaml: models.large.input: "),
        (["--edge-ratio", "0.5", "--edge-price", "1", "1"], "--edge-price needs --cloud-price"),
        (["--edge-ratio", "0.5", "--edge-key-env", "NO_SUCH"], "there is no such variable"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(log: Path, options: list[str], said: str) -> None:
    prices = log.parent / "prices.yaml"
    prices.write_text("currency: EUR\nmodels:\n  large: {input: dear, output: 1}\n")
    options = [str(prices) if option == "PRICES" else option for option in options]
    told = hem(*command(log, *options), *(["--edge", "http://127.0.0.1:1"]))
    assert told.returncode == 2
    assert said in told.stderr.splitlines()[-1]
    assert "Traceback" not in told.stderr
    assert not (log.parent / "out").exists()
