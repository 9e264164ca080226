"""The two graph shapes, and the time limits that let an outage degrade instead of fail."""

import json
from pathlib import Path
from typing import Any

import pytest

from inferencegraph.build.graph import (
    inference_then_mining,
    mining_then_inference,
    routed_to,
)
from inferencegraph.build.pods import EdgeNode
from inferencegraph.build.sites import Timeouts
from predictors.errors import ConfigurationError

SHAPES = [mining_then_inference, inference_then_mining]


def _shape(nodes: dict[str, Any]) -> dict[str, Any]:
    """A graph's nodes without what its steps call: the part that decides how it behaves."""
    targets = ("serviceName", "serviceUrl")
    return {
        name: {
            "routerType": node["routerType"],
            "steps": [{k: v for k, v in s.items() if k not in targets} for s in node["steps"]],
        }
        for name, node in nodes.items()
    }


@pytest.mark.parametrize(
    ("build", "case"),
    [
        (mining_then_inference, "design, query stage"),
        (inference_then_mining, "design, answer stage"),
    ],
)
def test_a_shape_is_the_one_that_ran_against_kserves_router(
    build: Any, case: str, shared: Path
) -> None:
    cases = json.loads((shared / "conformance/router_cases.json").read_text())
    graphs = [c["graph"] for c in cases if c["name"].startswith(case)]
    assert graphs
    for graph in graphs:
        assert _shape(build("qa")["spec"]["nodes"]) == _shape(graph["nodes"])


def test_the_query_stage_calls_hem_then_edge_or_uplink() -> None:
    nodes = mining_then_inference("qa")["spec"]["nodes"]
    called = {s["name"]: s.get("serviceName") for node in nodes.values() for s in node["steps"]}
    assert called == {
        "mine": "qa-hem",
        "answer": None,
        "route": None,
        "degrade": "qa-edge",
        "edge": "qa-edge",
        "cloud": "qa-uplink",
    }


def test_the_answer_stage_calls_edge_then_uplink_then_edge_again() -> None:
    steps = inference_then_mining("qa")["spec"]["nodes"]["root"]["steps"]
    assert [step["serviceName"] for step in steps] == ["qa-edge", "qa-uplink", "qa-edge"]


def test_a_condition_compares_instead_of_testing_existence() -> None:
    assert routed_to("cloud") == '[@this].#(parameters.hem_route=="cloud")'


@pytest.mark.parametrize("build", SHAPES)
def test_the_router_outlasts_a_slow_cloud_and_the_edge_after_it(build: Any) -> None:
    timeouts = Timeouts(cloud=300, edge=350, service_client=400)
    limits = build("qa", timeouts=timeouts)["spec"]["routerTimeouts"]
    assert timeouts.cloud < limits["serviceClient"]
    assert limits["serverWrite"] >= timeouts.cloud + 2 * limits["serviceClient"]


@pytest.mark.parametrize(
    "seconds",
    [
        (0, 10, 10, 20),
        (5, 4, 10, 20),
        (2, 180, 10, 180),
        (2, 10, 0, 20),
        (2, 10, 20, 20),
        (2, 16, 10, 20),
    ],
    ids=str,
)
def test_time_limits_that_would_hide_the_uplinks_error_are_refused(
    seconds: tuple[float, float, int, int],
) -> None:
    with pytest.raises(ConfigurationError, match="cloud_connect <= cloud < service_client"):
        Timeouts(*seconds)


@pytest.mark.parametrize("build", SHAPES)
def test_a_graph_runs_on_its_edge_node_in_standard_mode(build: Any) -> None:
    graph = build("qa-shop", node=EdgeNode("shop-7"))
    assert graph["metadata"]["annotations"] == {"serving.kserve.io/deploymentMode": "Standard"}
    assert graph["spec"]["nodeSelector"] == {
        "node-role.kubernetes.io/edge": "",
        "kubernetes.io/hostname": "shop-7",
    }
    tolerated = {t["key"]: t["effect"] for t in graph["spec"]["tolerations"]}
    assert tolerated == {
        "node-role.kubernetes.io/edge": "NoSchedule",
        "node.kubernetes.io/unreachable": "NoExecute",
        "node.kubernetes.io/not-ready": "NoExecute",
    }
