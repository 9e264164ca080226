"""Sedna's and Ianvs's parameter blocks load here and decide as they document; their known faults
stay behind, each with a test that names it."""

import json
from typing import Any

import numpy as np
import pytest
import yaml

from predictors.errors import ConfigurationError
from tests.conftest import ROOT
from tests.transformers_hem.tiny_models import write_bert
from transformers_hem.algorithms.base import Batch
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.settings import HEMSettings, build_decider

BLOCKS = yaml.safe_load((ROOT / "tests/data/predecessors/blocks.yaml").read_text())
CASES = [(case["block"], case["decides"]) for system in BLOCKS.values() for case in system]
NAMES = [f"{system}-{case['block']['name']}" for system, cases in BLOCKS.items() for case in cases]


@pytest.fixture(autouse=True)
def in_the_checkout(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture(scope="module")
def routellm_bert(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Says of every query that the strong model wins, with p = 0.91."""
    labels = ("LABEL_0", "LABEL_1", "LABEL_2")
    return str(write_bert(tmp_path_factory.mktemp("bert"), labels, (3.0, 0.0, 0.0)))


def decider(block: Any, **settings: Any) -> Decider:
    return build_decider(HEMSettings(parameters=json.dumps(block), **settings))


def queries(*texts: str) -> Batch:
    return Batch(len(texts), texts=texts)


def batch_of(kind: str, value: Any) -> Batch:
    if kind == "texts":
        return queries(value)
    if kind == "classes":
        return Batch(1, probabilities=np.array([value]))
    return Batch(1, boxes=np.array([[[0, 0, 1, 1, score, 0] for score in value]]))


@pytest.mark.parametrize(("block", "decides"), CASES, ids=NAMES)
def test_a_block_loads_and_decides_as_documented(
    block: Any, decides: dict[str, Any], routellm_bert: str
) -> None:
    mined = decider(json.loads(json.dumps(block).replace("$ROUTELLM_BERT", routellm_bert)))
    assert mined.algorithm.stage == decides["stage"]
    if "threshold" in decides:
        assert mined.threshold == pytest.approx(decides["threshold"])
    if "route" in decides:
        assert mined.decide(queries("anything")).route == decides["route"]
    if "cloud_share" in decides:
        routes = [mined.decide(queries(f"question {i}")).route for i in range(2000)]
        assert routes.count("cloud") / 2000 == pytest.approx(decides["cloud_share"], abs=0.03)
    for kind in {"boxes", "classes", "texts"} & set(decides):
        for side, example in decides[kind].items():
            route = mined.decide(batch_of(kind, example)).route
            assert route == {"easy": "edge", "hard": "cloud"}[side]


def test_fault_corrected_random_means_the_edge_in_one_system_and_the_cloud_in_the_other() -> None:
    """random_ratio is the cloud's share (Sedna), threshold the edge's (Ianvs), under both names."""
    for name in ("Random", "RandomRouter"):
        by_cloud = decider({"name": name, "parameters": [{"key": "random_ratio", "value": "0.2"}]})
        by_edge = decider({"name": name, "parameters": [{"key": "threshold", "value": "0.8"}]})
        assert by_cloud.threshold == by_edge.threshold == 0.8


@pytest.mark.parametrize("share", ["0.25", 0.25, "2.5e-1"])
def test_fault_corrected_parameters_that_are_strings_break_random(share: object) -> None:
    assert decider({"random_ratio": share}, algorithm="Random").threshold == 0.75


@pytest.mark.parametrize("share", ["lots", "1.2", "-0.1", "nan", ""])
def test_a_share_that_is_none_is_refused_not_replaced(share: str) -> None:
    """Ianvs goes on with 0.5."""
    with pytest.raises(ConfigurationError, match="random_ratio"):
        decider({"random_ratio": share}, algorithm="Random")
    with pytest.raises(ConfigurationError, match=r"'threshold' must be from 0 to 1, not '"):
        decider({"threshold": share}, algorithm="RandomRouter")


@pytest.mark.parametrize("text", ["Which query is a query?", '{"query": "x"}', "query"])
def test_fault_corrected_queries_with_the_word_query_in_them_break(text: str) -> None:
    labels = str(ROOT / "tests/data/labels/few_queries.jsonl")
    known = text == "Which query is a query?"
    oracle = decider({"labels": labels}, algorithm="OracleRouter").decide(queries(text))
    assert oracle.reason == ("algorithm" if known else "no_signal")
    for name in ("Random", "LinearRouter"):
        assert decider({}, algorithm=name).decide(queries(text)).score is not None


def test_fault_corrected_the_default_mode_depends_on_the_system() -> None:
    """Sedna mines after inference by default, Ianvs before; here the algorithm's stage says."""
    assert decider({}, algorithm="RandomRouter").algorithm.stage == "query"
    assert decider({}, algorithm="IBT").algorithm.stage == "answer"
    with pytest.raises(ConfigurationError, match="contradicts HEM_ALGORITHM IBT"):
        decider({}, algorithm="IBT", MINING_MODE="mining-then-inference")


def test_fault_corrected_the_oracle_asks_both_models_and_then_one_again() -> None:
    """Here it reads labels: hard only where the edge is wrong and the cloud right."""
    block = {"labels": "tests/data/labels/few_queries.jsonl"}
    oracle = decider(block, algorithm="OracleRouter")
    both_right, cloud_only, edge_only = "What is 2 + 2?", "ü", "Which query is a query?"
    scores = oracle.algorithm.score(queries(both_right, cloud_only, edge_only, "unheard of"))
    assert scores[:3].tolist() == [0.5, 1, 0]
    assert np.isnan(scores[3])
    assert oracle.decide(queries("unheard of")).reason == "no_signal"


@pytest.mark.parametrize(
    ("block", "fault"),
    [
        ({"hyperparameters": [{"seed": {"values": [1, 2]}}]}, "one value"),
        ({"hyperparameters": [{"seed": 1}]}, "one value"),
        ({"parameters": [], "hyperparameters": []}, "only"),
        ({"name": "Random", "parameters": [], "seed": 1}, "only"),
        ({"name": ["Random"], "parameters": []}, "only"),
        ({"name": "IBT", "parameters": [{"key": "threshold_img", "value": "2"}]}, "threshold_img"),
        (
            {"name": "BERTRouter", "parameters": {"task": "fill-mask", "model": "m"}},
            "'task' can't be",
        ),
        (
            {"name": "BERTRouter", "parameters": {"max_length": "9", "max_tokens": "9"}},
            "'max_length' is another name of 'max_tokens'; give one",
        ),
        ({"name": "OracleRouter"}, "parameter 'labels' is missing"),
        ({"name": "OracleRouter", "parameters": [{"key": "labels", "value": "no"}]}, "can't be"),
    ],
)
def test_a_block_that_says_nothing_clear_is_refused(block: Any, fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault) as raised:
        decider(block)
    assert "\n" not in str(raised.value)
