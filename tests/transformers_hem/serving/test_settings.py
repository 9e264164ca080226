"""The environment is checked once, at start."""

import json
import shutil
from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from transformers_hem import embedded
from transformers_hem.calibration.config import Calibration
from transformers_hem.serving.decision import Decider
from transformers_hem.serving.settings import (
    build_decider,
    read_environment,
)
from transformers_hem.serving.warnings import warn_of_a_prefix, warn_of_a_shipped_router


def decider(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Decider:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return build_decider(read_environment())


def test_nothing_set_is_the_shipped_linear_router(monkeypatch: pytest.MonkeyPatch) -> None:
    default = decider(monkeypatch)
    assert default.name == "LinearRouter"
    assert default.policy == "any"
    assert default.threshold == default.algorithm.default_threshold


def test_a_threshold_of_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decider(monkeypatch, HEM_THRESHOLD="0.125").threshold == 0.125


def test_without_a_router_the_threshold_is_one_half(monkeypatch: pytest.MonkeyPatch) -> None:
    assert decider(monkeypatch, HEM_ALGORITHM="Random", HEM_THRESHOLD="").threshold == 0.5


def test_a_crd_block_names_the_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    block = (
        '{"name": "ConfidenceRouter", "parameters": [{"key": "signal", "value": "min_logprob"}]}'
    )
    chosen = decider(monkeypatch, HEM_PARAMETERS=block, HEM_BATCH_POLICY="majority")
    assert (chosen.name, chosen.policy) == ("ConfidenceRouter", "majority")


@pytest.mark.parametrize(
    ("environment", "fault"),
    [
        ({"HEM_THRESHOLD": "nan"}, "HEM_THRESHOLD 'nan'"),
        ({"HEM_THRESHOLD": "1.5"}, "HEM_THRESHOLD '1.5'"),
        ({"HEM_THRESHOLD": "-0.1"}, "HEM_THRESHOLD '-0.1'"),
        ({"HEM_THRESHOLD": "high"}, "HEM_THRESHOLD 'high'"),
        ({"HEM_BATCH_POLICY": "some"}, "HEM_BATCH_POLICY 'some'.*majority"),
        ({"MINING_MODE": "mining"}, "MINING_MODE 'mining'.*mining-then-inference"),
        ({"MINING_MODE": "inference-then-mining"}, "contradicts HEM_ALGORITHM LinearRouter"),
        (
            {"MINING_MODE": "mining-then-inference", "HEM_ALGORITHM": "ConfidenceRouter"},
            "contradicts HEM_ALGORITHM ConfidenceRouter, which mines the answer",
        ),
        ({"HEM_ALGORITHM": "Linear"}, "unknown algorithm 'Linear'; known: .*LinearRouter"),
        ({"HEM_ALGORITHM": "EdgeOnly", "HEM_ROUTER": "/r"}, "EdgeOnly takes no router"),
        (
            {"HEM_ALGORITHM": "EdgeOnly", "HEM_PARAMETERS": '{"name": "Random", "parameters": []}'},
            "HEM_ALGORITHM is 'EdgeOnly', but HEM_PARAMETERS names 'Random'",
        ),
        (
            {"HEM_ROUTER": "embedded:large"},
            "unknown router 'embedded:large'; known: .*embedded:linear",
        ),
        ({"HEM_ROUTER": "s3://bucket/router"}, "storageUri"),
        ({"HEM_ROUTER": "/nowhere"}, "no router in /nowhere"),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], fault: str
) -> None:
    with pytest.raises(ConfigurationError, match=fault) as raised:
        decider(monkeypatch, **environment)
    assert "\n" not in str(raised.value)


def test_a_mode_that_agrees_is_accepted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    mode = "inference-then-mining"
    agreed = decider(monkeypatch, HEM_ALGORITHM="ConfidenceRouter", MINING_MODE=mode)
    assert agreed.name == "ConfidenceRouter"


@pytest.mark.parametrize("name", ["embedded:linear", "embedded:general", "{path}", "file://{path}"])
def test_a_shipped_router_says_that_it_may_not_know_your_models(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    router = name.format(path=embedded.directory("embedded:general"))
    warn_of_a_shipped_router(decider(monkeypatch, HEM_ROUTER=router))
    (line,) = [record.getMessage() for record in caplog.records]
    assert "not calibrated on rows of yours" in line
    assert f"hem calibrate --router {router} --data" in line


def test_a_calibrated_copy_of_a_shipped_router_is_ones_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    shutil.copytree(embedded.directory("embedded:linear"), tmp_path / "mine")
    path = tmp_path / "mine" / "config.json"
    config = json.loads(path.read_text())
    config["calibration"] = Calibration(
        target="edge_ratio",
        limit=0.6,
        threshold=0.25,
        confidence=0.9,
        edge_share=0.6,
        rows=500,
        data_sha256="0",
        promise="60% stay at the edge",
    ).model_dump()
    path.write_text(json.dumps(config))
    mine = decider(monkeypatch, HEM_ROUTER=str(tmp_path / "mine"))
    assert mine.threshold == 0.25
    warn_of_a_shipped_router(mine)
    assert not caplog.records


def test_a_rule_that_decides_on_the_first_tokens_says_so_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    first = decider(
        monkeypatch, HEM_ALGORITHM="ConfidenceRouter", HEM_PARAMETERS='{"prefix_tokens": 16}'
    )
    assert first.algorithm.prefix_tokens == 16
    warn_of_a_prefix(first)
    (line,) = [record.getMessage() for record in caplog.records]
    assert "ConfidenceRouter decides on the first 16 tokens of an answer" in line
    assert "the V2 graph mines whole answers, for which its promise was not made" in line


def test_a_trained_router_says_what_it_decides_on_by_its_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(embedded.directory("embedded:combined"), mine)
    environment = {"HEM_ALGORITHM": "CombinedRouter", "HEM_ROUTER": str(mine)}
    warn_of_a_prefix(decider(monkeypatch, **environment))
    assert not caplog.records
    config = json.loads((mine / "config.json").read_text())
    (mine / "config.json").write_text(json.dumps(config | {"prefix_tokens": 8}))
    first = decider(monkeypatch, **environment)
    assert first.algorithm.prefix_tokens == 8
    warn_of_a_prefix(first)
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"{mine} decides on the first 8 tokens")


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "many"])
def test_a_prefix_must_be_a_number_of_tokens(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    parameters = json.dumps({"prefix_tokens": value})
    with pytest.raises(ConfigurationError, match=f"'prefix_tokens' can't be '{value}'"):
        decider(monkeypatch, HEM_ALGORITHM="ConfidenceRouter", HEM_PARAMETERS=parameters)
