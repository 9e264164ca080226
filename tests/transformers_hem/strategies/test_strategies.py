"""Strategies: the shipped ones, and those of the user's own, by a path or an entry point."""

import json
from pathlib import Path

import pytest

from predictors.errors import ConfigurationError, EngineError
from transformers_hem.algorithms.base import Batch
from transformers_hem.reload.in_force import decides_at
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.settings import HEMSettings, build_decider
from transformers_hem.strategies import STRATEGIES
from transformers_hem.strategies.base import Turn
from transformers_hem.strategies.plugins import ENTRY_POINTS

MODULE = """
from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.strategies.base import Strategy

class Suffix(AlgorithmParameters):
    words: str = "please"

class Polite(Strategy):
    stage = "query"
    Parameters = Suffix
    def __init__(self, parameters):
        self._words = parameters.words
    def asks(self, turn):
        return f"{turn.query}, {self._words}"

class Bystander:
    pass

class Nowhere(Polite):
    stage = "both"

class Silent(Strategy):
    stage = "query"

class Late(Polite):
    stage = "answer"
    at_edge = True

class Untyped(Polite):
    Parameters = dict

class Numbers(Polite):
    def asks(self, turn):
        return 7

class Empty(Polite):
    def asks(self, turn):
        return " "
"""


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "designs_of_mine.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def designed(**settings: object) -> Decider:
    return build_decider(HEMSettings.model_validate({"MINING_MODE": "self-design", **settings}))


def asked(decider: Decider, query: str, draft: str = "") -> str | None:
    return decider.asks(Turn(query, draft))


def test_the_shipped_ones_are_known_by_their_names() -> None:
    assert STRATEGIES.names() == ["refine", "speculative"]
    stages = {name: STRATEGIES.load(name).stage for name in STRATEGIES.names()}
    assert stages == {"refine": "answer", "speculative": "query"}
    assert [name for name in stages if STRATEGIES.load(name).at_edge] == ["speculative"]


def test_the_draft_and_the_query_stand_in_the_prompt_once_each() -> None:
    """What a caller writes is never a place of the prompt."""
    decider = designed(strategy="refine", strategy_parameters='{"prompt": "{draft}|{query}|{x}"}')
    assert asked(decider, "a {draft}", "b {query}") == "b {query}|a {draft}|{x}"
    default = asked(designed(strategy="refine"), "1 + 1?", "3") or ""
    assert default.startswith("1 + 1?") and "<draft>\n3\n</draft>" in default


def test_an_edge_that_said_nothing_has_no_draft() -> None:
    assert asked(designed(strategy="refine"), "1 + 1?", " ") == "1 + 1?"


def test_without_an_algorithm_all_is_the_clouds_by_the_strategys_name() -> None:
    decision = designed(strategy="refine").decide(Batch(1, ("a",)))
    assert (decision.route, decision.reason, decision.score) == ("cloud", "strategy", None)
    assert (decision.algorithm, decision.strategy) == ("refine", "refine")


def test_a_class_by_its_dotted_path_with_parameters() -> None:
    words = json.dumps([{"name": "words", "value": "now"}])
    decider = designed(strategy="designs_of_mine:Polite", strategy_parameters=words)
    assert asked(decider, "Go") == "Go, now"
    assert decider.strategy_name == "designs_of_mine:Polite"


def test_a_class_by_the_entry_point_of_its_package(package: Path) -> None:
    info = package / "polite-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: polite\nVersion: 1.0\n")
    entry = f"[{ENTRY_POINTS}]\nPolite = designs_of_mine:Polite"
    (info / "entry_points.txt").write_text(entry)
    assert asked(designed(strategy="Polite"), "Go") == "Go, please"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("refined", "unknown strategy 'refined'; known: refine, speculative; did you"),
        ("designs_of_mine:Whispering", "has no 'Whispering'"),
        ("designs_of_mine:Bystander", "is not a subclass of .*Strategy"),
        ("designs_of_mine:Nowhere", "stage must be 'query' or 'answer', not 'both'"),
        ("designs_of_mine:Silent", "does not define asks"),
        ("designs_of_mine:Late", "with at_edge .* its stage must be 'query'"),
        ("designs_of_mine:Untyped", "not a subclass of AlgorithmParameters"),
    ],
)
def test_what_is_no_strategy_is_refused_by_name(name: str, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        designed(strategy=name)


@pytest.mark.parametrize("name", ["Numbers", "Empty"])
def test_one_that_asks_no_text_is_an_error_that_names_it(name: str) -> None:
    with pytest.raises(EngineError, match=rf"designs_of_mine:{name} must ask the cloud a text"):
        asked(designed(strategy=f"designs_of_mine:{name}"), "Go")


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, "self-design needs HEM_STRATEGY: refine, speculative"),
        ({"strategy": "refine", "threshold": 0.5}, "HEM_THRESHOLD is set, but no HEM_ALGORITHM"),
        ({"strategy": "refine", "parameters": '{"seed": 1}'}, "HEM_PARAMETERS is set"),
        ({"strategy": "refine", "strategy_parameters": "prompt"}, "HEM_STRATEGY_PARAMETERS is not"),
        (
            {"strategy": "refine", "strategy_parameters": '{"prompt": "{query}"}'},
            "refine: parameter 'prompt' .* has no {draft}",
        ),
        (
            {"strategy": "speculative", "strategy_parameters": '{"prompt": "x"}'},
            "speculative has no parameter 'prompt'",
        ),
        (
            {"strategy": "speculative", "algorithm": "ConfidenceRouter"},
            "speculative is asked before the edge answers, and ConfidenceRouter mines the answer",
        ),
        (
            {
                "strategy": "refine",
                "algorithm": "ConfidenceRouter",
                "parameters": '{"prefix_tokens": "16"}',
            },
            "ConfidenceRouter decides on the first 16 tokens of an answer, and the strategy refine",
        ),
        ({"strategy": "refine", "MINING_MODE": None}, "HEM_STRATEGY 'refine' is of MINING_MODE"),
        (
            {"strategy_parameters": "{}", "MINING_MODE": None},
            "HEM_STRATEGY_PARAMETERS '{}' is of MINING_MODE",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(
    settings: dict[str, object], fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault):
        designed(**settings)


def test_a_stream_is_never_decided_by_its_beginning() -> None:
    decider = designed(strategy="refine")
    assert (decides_at(None, decider), decides_at("end", decider)) == ("end", "end")
    with pytest.raises(ConfigurationError, match="HEM_DECIDE_AT is sentence, but the strategy"):
        decides_at("sentence", decider)


def test_an_algorithm_of_either_stage_may_stand_beside_one_that_sees_the_answer() -> None:
    for algorithm in ("ConfidenceRouter", "Random"):
        decider = designed(strategy="refine", algorithm=algorithm)
        assert (decider.name, decider.stage) == (algorithm, "answer")
