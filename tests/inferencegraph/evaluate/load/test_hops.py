"""The hops of a running stack: found among its processes, and what each adds."""

import json
from pathlib import Path

import numpy as np
import pytest

from inferencegraph.build.graph import mining_then_inference
from inferencegraph.evaluate.load.harness import HarnessUse
from inferencegraph.evaluate.load.hops import additions, hops_load, local_hops, option
from inferencegraph.evaluate.load.record import Record
from inferencegraph.evaluate.load.running import Block, Run
from inferencegraph.evaluate.load.target import target
from predictors.errors import ConfigurationError
from tests.inferencegraph.local.test_stack import IMAGE, service, written
from tests.inferencegraph.running_hem import RunningHem, hem


@pytest.mark.parametrize(
    ("words", "value"),
    [
        (["--http_port", "1"], "1"),
        (["--http_port=1", "x", "--http_port", "2"], "2"),
        (["--http_port"], None),
        (["--http_portal", "1"], None),
        ([], None),
    ],
)
def test_the_last_value_of_an_option_wins(words: list[str], value: str | None) -> None:
    assert option(words, "--http_port") == value


def block(name: str, seconds: list[float], routes: str, failed: int | None = None) -> Block:
    records = []
    for number, (taken, route) in enumerate(zip(seconds, routes, strict=True)):
        record = Record(name, 1, number, number, 5.0, 5.0, 5.0, 5.0 + taken)
        record.route = {"e": "edge", "c": "cloud"}.get(route)
        record.failure = "503" if number == failed else None
        records.append(record)
    at = target(name, "http://127.0.0.1:1", stream=False)
    return Block(at, 1, 0, sum(seconds), records, HarnessUse(0, 1, np.empty(0)), None)


def test_a_hop_is_compared_for_the_questions_that_went_its_way() -> None:
    run = Run(hops_load(5, 0), [])
    run.blocks = [
        block("edge", [0.1, 0.2, 0.3, 0.4, 0.5], "-----"),
        block("cloud", [1.0, 1.0, 1.0, 1.0, 1.0], "-----"),
        block("uplink", [1.1, 1.1, 1.1, 1.1, 9.0], "-----", failed=4),
        block("graph", [0.11, 0.21, 1.25, 0.43, 1.25], "eecec"),
    ]
    found = {(a.hop, a.beside): a for a in additions(run)}
    assert set(found) == {
        ("uplink", "cloud"),
        ("graph", "edge"),
        ("graph", "uplink"),
        ("graph", "cloud"),
    }
    graph, uplink = found["graph", "edge"], found["uplink", "cloud"]
    assert graph.seconds is not None and uplink.seconds is not None
    assert (graph.questions, graph.route) == (3, "edge")
    assert graph.seconds.value == pytest.approx(0.01)
    assert uplink.questions == 4
    assert uplink.seconds.value == pytest.approx(0.1)
    assert found["graph", "uplink"].seconds is None  # a single question is no sample
    assert found["graph", "cloud"].questions == 2


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    return written(
        tmp_path,
        service("qa-edge"),
        service("qa-cloud"),
        service("qa-hem", "--route=edge"),
        service("qa-uplink", "--forward=http://qa-cloud-predictor.default"),
        mining_then_inference("qa"),
    )


@pytest.mark.slow
def test_the_hops_of_a_running_stack_are_found_and_asked(manifests: Path) -> None:
    with RunningHem(["-f", str(manifests), "--image", IMAGE, "--no-restart"]) as running:
        names = [hop.name for hop in local_hops(running.url)]
        assert names == ["edge", "hem", "cloud", "uplink", "graph"]
        edge = next(e["url"] for e in running.events if e.get("name") == "qa-edge")
        with pytest.raises(ConfigurationError, match="is not the graph of a local `hem up`"):
            local_hops(edge)
        done = hem("bench", "--hops", "--url", running.url, "--requests", "20", "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert [r["answered"] for r in facts["results"]] == [20] * 5
    added = {(a["hop"], a["beside"]): a for a in facts["additions"]}
    assert added["graph", "edge"]["questions"] == 20
    spread = added["graph", "edge"]["seconds"]
    assert spread["low"] <= spread["value"] <= spread["high"]
    assert added["graph", "cloud"]["questions"] == 0
