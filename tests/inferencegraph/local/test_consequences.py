"""What a dead or failing service means for answers, in both graphs of ours and in foreign ones."""

from pathlib import Path
from typing import Any

import pytest

from inferencegraph.local.consequences import if_failing, if_gone, is_clouds
from inferencegraph.local.containers import LOCAL_COMMANDS
from inferencegraph.local.plan import Plan, plan
from inferencegraph.spec.examples import example, shipped

QUERY, ANSWER = "mining-then-inference", "inference-then-mining"
EVERY = "every question fails"


def planned(mode: str, *, with_graph: bool = True) -> Plan:
    documents = list(example(mode).values())
    graphs = [item for item in documents if item["kind"] == "InferenceGraph" and with_graph]
    return plan(
        documents, graphs, [8080] * len(graphs), LOCAL_COMMANDS, iter(range(20_001, 20_100))
    )


def gone(made: Plan, name: str) -> str:
    return if_gone(made, next(item for item in made.components if item.name == name))


@pytest.mark.parametrize(
    ("mode", "name", "means"),
    [
        (QUERY, "qa-cloud", "the edge answers"),
        (QUERY, "qa-hem", EVERY),
        (QUERY, "qa-uplink", "questions for the cloud fail"),
        (QUERY, "qa-edge", "questions for the edge fail and nothing stands in for the cloud"),
        (ANSWER, "qa-cloud", "the edge answers"),
        (ANSWER, "qa-edge", EVERY),
        (ANSWER, "qa-edge-transformer", EVERY),
        (ANSWER, "qa-uplink", "questions for the cloud fail"),
    ],
)
def test_a_process_that_is_gone(mode: str, name: str, means: str) -> None:
    assert gone(planned(mode), name) == means


@pytest.mark.parametrize("mode", [QUERY, ANSWER])
def test_a_cloud_that_fails_behind_its_uplink(mode: str) -> None:
    made = planned(mode)
    assert if_failing(made, "qa-uplink") == "the edge answers"
    assert is_clouds(made, "qa-uplink")
    assert not is_clouds(made, "qa-edge")


def strategies(folder: str) -> Plan:
    documents = list(shipped(Path(folder)).values())
    graphs = [item for item in documents if item["kind"] == "InferenceGraph"]
    return plan(documents, graphs, [8080], LOCAL_COMMANDS, iter(range(20_001, 20_100)))


@pytest.mark.parametrize(
    ("folder", "name", "means"),
    [
        ("speculative", "qa-cloud", "the edge answers"),
        ("speculative", "qa-edge", EVERY),
        ("speculative", "qa-edge-transformer", EVERY),
        ("refine", "qa-edge", EVERY),
        ("refine", "qa-uplink", "questions for the cloud fail"),
    ],
)
def test_a_process_of_a_strategy_that_is_gone(folder: str, name: str, means: str) -> None:
    assert gone(strategies(folder), name) == means


def test_a_cloud_that_fails_a_strategy_leaves_the_edges_answer() -> None:
    assert if_failing(strategies("refine"), "qa-uplink") == "the edge answers"
    assert is_clouds(strategies("refine"), "qa-uplink")


def test_without_a_graph_requests_fail() -> None:
    made = planned(QUERY, with_graph=False)
    assert gone(made, "qa-hem") == "requests to it fail"
    assert if_failing(made, "qa-uplink") == "requests to it fail"


def graph(**nodes: Any) -> dict[str, Any]:
    return {"metadata": {"name": "g"}, "spec": {"nodes": nodes}}


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"routerType": "Sequence", "steps": list(steps)}


@pytest.mark.parametrize(
    ("nodes", "means"),
    [
        ({"root": sequence({"serviceName": "x"})}, EVERY),
        (
            {
                "root": sequence(
                    {"serviceName": "x"}, {"serviceName": "spare", "condition": "error"}
                )
            },
            "spare answers",
        ),
        (
            {
                "root": sequence(
                    {"serviceName": "x", "dependency": "Hard"},
                    {"serviceName": "spare", "condition": "error"},
                )
            },
            EVERY,
        ),
        ({"root": sequence({"serviceName": "other"})}, "no other service here calls it"),
        (
            {
                "root": sequence({"nodeName": "inner"}, {"nodeName": "b", "condition": "error"}),
                "inner": {"routerType": "Ensemble", "steps": [{"serviceName": "x"}]},
                "b": sequence({"serviceName": "spare"}),
            },
            "b answers",
        ),
        (
            {"root": sequence({"nodeName": "root"}, {"serviceName": "x"})},
            EVERY,
        ),
    ],
)
def test_graphs_of_any_shape(nodes: dict[str, Any], means: str) -> None:
    assert if_failing(Plan((), {}, (graph(**nodes),)), "x") == means
