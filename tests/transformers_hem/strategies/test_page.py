"""The strategy that docs/self-design.md prints does what the page says."""

from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.pages import section
from transformers_hem.algorithms.base import Batch
from transformers_hem.serving.settings import HEMSettings, build_decider
from transformers_hem.strategies.base import Turn

PAGE = ROOT / "docs" / "self-design.md"


def test_the_strategy_of_the_page_asks_less_of_a_long_query(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (code,) = section(PAGE, "A strategy of your own").code("python")
    (tmp_path / "shorter.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    chosen = {"strategy": "shorter:Shorter", "strategy_parameters": '{"characters": 10}'}
    decider = build_decider(HEMSettings.model_validate({"MINING_MODE": "self-design", **chosen}))
    assert decider.asks(Turn("0123456789")) == "0123456789"
    assert decider.asks(Turn("0123456789ab")) == "01234\n[...]\n789ab"
    decision = decider.decide(Batch(1, ("a",)))
    assert (decision.route, decision.algorithm) == ("cloud", "shorter:Shorter")
