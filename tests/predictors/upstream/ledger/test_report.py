"""What left, why and how much, from the lines."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from predictors.prices import Price, Prices
from predictors.upstream.ledger.report import Sums, report
from predictors.upstream.ledger.verify import Broken
from predictors.upstream.ledger.writer import Ledger

PRICES = Prices(currency="USD", models={"big": Price(input=10.0, output=30.0)})
USED = {"model": "big", "prompt_tokens": 100, "completion_tokens": 10, "status": 200}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A probe; a call of two attempts; one whose process was killed; one to another server."""
    ledger = Ledger(tmp_path / "egress.jsonl", 4096)

    def leaves(outcome: dict[str, Any] | None = None, **fields: Any) -> int:
        number = ledger.intend({"to": "https://api.example/v1/chat", "bytes": 50, **fields})
        if outcome is not None:
            ledger.report({"of": number, "received": 7, **outcome})
        return number

    leaves({"status": 200}, probe=True, bytes=0)
    first = leaves({"status": 503, "cause": "server_error"}, decision={"reason": "algorithm"})
    leaves(USED, again=first, decision={"reason": "algorithm"})
    leaves(decision={"reason": "prefer"})
    leaves({**USED, "model": "unknown"}, to="grpc://far:9000")
    ledger.close()
    return ledger.path


def test_attempts_of_one_call_are_one_request_and_cost_what_they_used(path: Path) -> None:
    made = report(path, "destination", prices=PRICES)
    assert list(made.groups) == ["https://api.example", "grpc://far:9000"]
    api = made.groups["https://api.example"]
    assert api == Sums(
        requests=2,
        attempts=3,
        probes=1,
        failed=1,
        unknown=1,
        sent=150,
        received=21,
        prompt_tokens=100,
        completion_tokens=10,
        cost=0.0013,
    )
    assert made.total().requests == 3
    assert made.total().unpriced == 1


def test_reasons_are_those_that_mining_gave(path: Path) -> None:
    made = report(path, "reason")
    asked = {reason: sums.attempts for reason, sums in made.groups.items()}
    assert asked == {"probe": 0, "algorithm": 2, "prefer": 1, "not known": 1}


def test_days_are_those_of_utc(path: Path) -> None:
    (day,) = report(path, "day").groups
    assert datetime.fromisoformat(day).date() in {
        (datetime.now(UTC) - timedelta(days=ago)).date() for ago in (0, 1)
    }


def test_what_is_older_is_left_out(path: Path) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    assert report(path, "day", since=later).groups == {}
    assert report(path, "day", since=later - timedelta(hours=2)).total().attempts == 4


def test_a_ledger_that_does_not_hold_tells_nothing(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b'"bytes":50', b'"bytes":5', 1))
    with pytest.raises(Broken):
        report(path, "day")
