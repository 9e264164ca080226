"""Who wins: privacy > hem_prefer > other guards > algorithm; and how guards are configured."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import (
    Algorithm,
    Batch,
    Route,
    Scores,
    Stage,
)
from transformers_hem.guards import GUARDS
from transformers_hem.guards.base import Guard
from transformers_hem.guards.settings import load_guard, read_guards
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.settings import HEMSettings, build_decider

BATCH = Batch(1, texts=("x",))


class Sends(Guard):
    def __init__(self, route: Route | None) -> None:
        self._route = route

    def route(self, batch: Batch) -> Route | None:
        return self._route


class SendsPrivately(Sends):
    privacy: ClassVar[bool] = True


class Easy(Algorithm):
    stage: ClassVar[Stage] = "query"

    def __init__(self) -> None:
        self.asked = 0

    def score(self, batch: Batch) -> Scores:
        self.asked += 1
        return np.zeros(batch.size)


def decider(**guards: Guard) -> Decider:
    return Decider("Easy", Easy(), 0.5, guards=guards)


def decided(prefer: Route | None = None, **guards: Guard) -> tuple[str, str]:
    decision = decider(**guards).decide(BATCH, prefer)
    return decision.route, decision.reason


def test_a_guard_that_objects_overrules_the_algorithm_which_is_not_asked() -> None:
    guarded = decider(busy=Sends("cloud"))
    decision = guarded.decide(BATCH)
    assert (decision.route, decision.reason, decision.score) == ("cloud", "busy", None)
    assert isinstance(guarded.algorithm, Easy) and guarded.algorithm.asked == 0


def test_a_guard_without_objection_leaves_it_to_the_next_and_to_the_algorithm() -> None:
    assert decided(quiet=Sends(None)) == ("edge", "algorithm")
    assert decided(quiet=Sends(None), busy=Sends("cloud")) == ("cloud", "busy")
    assert decided(first=Sends("edge"), second=Sends("cloud")) == ("edge", "first")


def test_the_caller_overrules_a_guard_but_not_privacy() -> None:
    assert decided("edge", busy=Sends("cloud")) == ("edge", "prefer")
    assert decided("cloud", secret=SendsPrivately("edge")) == ("edge", "secret")
    assert decided("cloud", secret=SendsPrivately(None)) == ("cloud", "prefer")
    assert decided(busy=Sends("cloud"), secret=SendsPrivately("edge")) == ("edge", "secret")


# What a guard can't do without; files lie in the folder of the test.
NEEDED: dict[str, dict[str, str]] = {
    "AvailabilityGuard": {"url": "http://127.0.0.1:9/v1"},
    "BudgetGuard": {"state": "budget.db", "requests": "10"},
    "LanguageGuard": {"languages": "en", "route": "edge"},
    "MaintenanceGuard": {"file": "maintenance"},
    "RateGuard": {"calls": "10"},
    "TopicGuard": {"words": "words"},
}


@pytest.mark.parametrize("name", GUARDS.names())
def test_every_row_of_the_table_guards(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "words").write_text("atlas\n")
    guard = load_guard(name, NEEDED.get(name, {}))
    assert guard.route(BATCH) in ("edge", "cloud", None)
    guard.close()


@pytest.mark.parametrize(
    ("text", "guards"),
    [
        ("", {}),
        (" A , B", {"A": {}, "B": {}}),
        ('["A", {"name": "B"}]', {"A": {}, "B": {}}),
        (
            '{"name": "A", "parameters": [{"key": "x", "value": "1"}]}',
            {"A": {"x": "1"}},
        ),
    ],
)
def test_guards_come_as_names_or_as_blocks(text: str, guards: dict[str, dict[str, str]]) -> None:
    assert read_guards(text) == guards


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("A,A", "names 'A' twice"),
        ("[1]", "HEM_GUARDS must be"),
        ('[{"x": "1"}]', r"a guard in HEM_GUARDS is a name .*, not \{\"x\":\"1\"\}"),
        ("[", "not JSON"),
        ("Privacy", "unknown guard 'Privacy'; known: .*ResourceSensitiveRouter"),
        (
            '[{"name": "ResourceSensitiveRouter", "parameters": "cpu"}]',
            "HEM_GUARDS must be a JSON object or a list",
        ),
        (
            '[{"name": "ResourceSensitiveRouter", "parameters": [{"key": "cpu", "value": "1"}]}]',
            "ResourceSensitiveRouter has no parameter 'cpu'",
        ),
    ],
)
def test_a_guard_that_is_none_is_refused(text: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        build_decider(HEMSettings(algorithm="EdgeOnly", guards=text))


def test_ianvs_name_in_the_algorithms_place_is_the_edge_with_that_guard() -> None:
    block = (
        '{"name": "ResourceSensitiveRouter", '
        '"parameters": [{"key": "memory_threshold", "value": "0"}]}'
    )
    decision = build_decider(HEMSettings(parameters=block)).decide(BATCH)
    assert (decision.route, decision.reason) == ("cloud", "ResourceSensitiveRouter")
    assert decision.algorithm == "EdgeOnly"


def test_a_decision_has_the_verdicts_of_the_guards_that_were_asked() -> None:
    """For the egress ledger: with their versions."""

    class Second(Sends):
        version: ClassVar[int] = 2

    def verdicts(prefer: Route | None = None, **guards: Guard) -> object:
        return decider(**guards).decide(BATCH, prefer).parameters().get("hem_guards")

    quiet, secret = Second(None), SendsPrivately(None)
    assert verdicts() is None
    assert verdicts(quiet=quiet, secret=secret) == "secret@1=clear quiet@2=clear"
    assert verdicts("cloud", quiet=quiet, secret=secret) == "secret@1=clear"
    busy = verdicts(quiet=quiet, busy=Sends("cloud"), later=Sends(None), secret=secret)
    assert busy == "secret@1=clear quiet@2=clear busy@1=cloud"
    assert verdicts(secret=SendsPrivately("edge"), quiet=quiet) == "secret@1=edge"
