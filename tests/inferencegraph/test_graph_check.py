"""Graphs that could never work are refused, naming node, step and reason."""

import copy
from typing import Any

import pytest

from inferencegraph.graph import inference_then_mining, mining_then_inference
from inferencegraph.graph_check import check
from predictors.errors import ConfigurationError

A = {"name": "a", "serviceUrl": "http://127.0.0.1:1/"}
B = {"name": "b", "serviceName": "edge"}


def spec(routerType: str = "Sequence", steps: Any = (A,), **nodes: Any) -> dict[str, Any]:
    return {"nodes": {"root": {"routerType": routerType, "steps": list(steps)}, **nodes}}


def to(node: str, **fields: Any) -> dict[str, Any]:
    return {"name": f"to-{node}", "nodeName": node, **fields}


GOOD = [
    spec(),
    spec("Ensemble", [A, B]),
    spec("Splitter", [{**A, "weight": 30}, {**B, "weight": 70}]),
    spec("Switch", [{**A, "condition": "x"}]),
    spec(
        "Sequence",
        [to("n"), {**to("n", data="$response"), "name": "again"}],
        n=spec()["nodes"]["root"],
    ),
    {"metadata": {"name": "whole"}, "spec": spec()},
    mining_then_inference("qa"),
    inference_then_mining("qa"),
]

BAD = {
    "no root": ({"nodes": {"other": {}}}, "no node 'root', where it starts; nodes: other"),
    "no nodes": ({}, "no node 'root', where it starts; nodes: none"),
    "unknown router type": (
        spec("Broadcast"),
        "node 'root': unknown routerType 'Broadcast'; known:",
    ),
    "no router type": ({"nodes": {"root": {"steps": [A]}}}, "unknown routerType ''"),
    "no steps": (spec(steps=()), "node 'root': has no steps"),
    "dangling node": (
        spec(steps=[to("nope")]),
        "step 'to-nope': there is no node 'nope'; nodes: root",
    ),
    "no target": (spec(steps=[{"name": "a"}]), "step 'a': has no target; give one of nodeName"),
    "two targets": (spec(steps=[A | B]), "step 'b': has serviceName and serviceUrl; give one of"),
    "nameless step": (spec(steps=[A, {}]), "node 'root', step 1: has no target"),
    "same name twice": (spec(steps=[A, A]), "node 'root': two steps are called 'a'"),
    "no weight": (spec("Splitter", [{**A, "weight": 100}, B]), "step 'b': weight is None;"),
    "negative": (spec("Splitter", [{**A, "weight": 101}, {**B, "weight": -1}]), "weight is -1;"),
    "90 percent": (spec("Splitter", [{**A, "weight": 90}]), "the weights add up to 90, not to 100"),
    "no condition": (spec("Switch"), "step 'a': has no condition; a Switch has no default"),
    "first condition": (spec(steps=[{**A, "condition": "x"}]), "no step before it gave a body"),
    "lacking gjson": (
        spec("Switch", [{**A, "condition": "@keys"}]),
        "step 'a': condition '@keys' has",
    ),
    "open query": (spec("Switch", [{**A, "condition": "#(a"}]), "a query that is never closed"),
    "no URL": (spec(steps=[{"serviceUrl": "edge:8080"}]), "serviceUrl 'edge:8080' is no http"),
    "data": (
        spec(steps=[{**A, "data": "$response.predictions"}]),
        "data '$response.predictions' is",
    ),
    "dependency": (
        spec(steps=[{**A, "dependency": "hard"}]),
        "dependency 'hard' is unknown; known:",
    ),
    "typo in a step": (spec(steps=[{"serviceURL": "http://e/"}]), "did you mean 'serviceUrl'?"),
    "typo in a node": ({"nodes": {"root": {"routertype": "Switch"}}}, "did you mean 'routerType'?"),
    "circle": (
        spec(steps=[to("n")], n={"routerType": "Sequence", "steps": [to("root")]}),
        "the nodes go round in a circle: root -> n -> root",
    ),
    "own circle": (spec(steps=[to("root")]), "the nodes go round in a circle: root -> root"),
    "weight as text": (
        spec(steps=[{**A, "weight": "100"}]),
        "nodes.root.steps.0.weight: Input should",
    ),
    "steps as mapping": (
        {"nodes": {"root": {"steps": {"a": 1}}}},
        "nodes.root.steps: Input should",
    ),
    "node as text": ({"nodes": {"root": "Sequence"}}, "nodes.root: Input should"),
    "spec as text": ({"spec": "x"}, "spec: has to be a mapping"),
}


@pytest.mark.parametrize("graph", GOOD)
def test_graphs_that_can_work_pass(graph: dict[str, Any]) -> None:
    before = copy.deepcopy(graph)
    check(graph)
    assert graph == before


@pytest.mark.parametrize(("graph", "reason"), BAD.values(), ids=BAD.keys())
def test_graphs_that_can_never_work_are_refused(graph: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        check(graph)
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)
