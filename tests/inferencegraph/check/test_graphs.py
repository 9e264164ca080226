"""Graphs that could never work are refused, naming node, step and reason."""

import copy
from typing import Any

import pytest

from inferencegraph.build.graph import inference_then_mining, mining_then_inference
from inferencegraph.check.validate import refuse_graph
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
    spec("Sequence", [A, {**B, "data": "$response.predictions"}]),
    spec(
        "Sequence",
        [to("n"), {**to("n", data="$response"), "name": "again"}],
        n=spec()["nodes"]["root"],
    ),
    {"metadata": {"name": "whole"}, "spec": spec()},
    mining_then_inference("qa"),
    inference_then_mining("qa"),
]

STEP = "spec.nodes.root.steps[0]"
BAD = {
    "no root": ({"nodes": {"other": spec()["nodes"]["root"]}}, "spec.nodes: has no node 'root'"),
    "no nodes": ({}, "spec.nodes: is missing"),
    "unknown router type": (spec("Broadcast"), "spec.nodes.root.routerType: unknown type 'Broad"),
    "no router type": (
        {"nodes": {"root": {"steps": [A]}}},
        "spec.nodes.root.routerType: is missin",
    ),
    "no steps": (spec(steps=()), "spec.nodes.root.steps: is empty"),
    "dangling node": (
        spec(steps=[to("nope")]),
        f"{STEP}.nodeName: unknown node 'nope'; known: root",
    ),
    "no target": (
        spec(steps=[{"name": "a"}]),
        f"{STEP}: needs exactly one of nodeName, serviceName",
    ),
    "two targets": (spec(steps=[A | B]), "found serviceName and serviceUrl"),
    "same name twice": (
        spec(steps=[A, A]),
        "spec.nodes.root.steps: more than one step is called 'a'",
    ),
    "no weight": (spec("Splitter", [A, {**B, "weight": 100}]), f"{STEP}.weight: is missing"),
    "negative": (
        spec("Splitter", [{**A, "weight": -1}, {**B, "weight": 101}]),
        f"{STEP}.weight: is -1",
    ),
    "90 percent": (
        spec("Splitter", [{**A, "weight": 90}]),
        "weights of a Splitter add up to 90, not",
    ),
    "no condition": (spec("Switch"), f"{STEP}: a Switch never takes a step without condition"),
    "first condition": (spec(steps=[{**A, "condition": "x"}]), "has no response to test"),
    "lacking gjson": (
        spec("Switch", [{**A, "condition": "@keys"}]),
        f"{STEP}.condition: condition '@keys' has the modifier @keys",
    ),
    "open query": (spec("Switch", [{**A, "condition": "#(a"}]), "a bracket is never closed"),
    "no URL": (spec(steps=[{"serviceUrl": "edge:8080"}]), f"{STEP}.serviceUrl: 'edge:8080' is no"),
    "dependency": (spec(steps=[{**A, "dependency": "hard"}]), f"{STEP}.dependency: unknown value"),
    "typo in a step": (spec(steps=[{"serviceURL": "http://e/"}]), "did you mean 'serviceUrl'?"),
    "typo in a node": ({"nodes": {"root": {"routertype": "Switch"}}}, "did you mean 'routerType'?"),
    "circle": (
        spec(steps=[to("n")], n={"routerType": "Sequence", "steps": [to("root")]}),
        "leads back to itself",
    ),
    "own circle": (spec(steps=[to("root")]), "spec.nodes.root: leads back to itself"),
    "weight as text": (
        spec(steps=[{**A, "weight": "100"}]),
        f"{STEP}.weight: must be a whole number",
    ),
    "steps as mapping": (
        {"nodes": {"root": {"steps": {"a": 1}}}},
        "spec.nodes.root.steps: must be",
    ),
    "node as text": ({"nodes": {"root": "Sequence"}}, "spec.nodes.root: must be a mapping"),
    "spec as text": ({"spec": "x"}, "spec: must be a mapping"),
}


@pytest.mark.parametrize("graph", GOOD)
def test_graphs_that_can_work_pass(graph: dict[str, Any]) -> None:
    before = copy.deepcopy(graph)
    refuse_graph(graph)
    assert graph == before


@pytest.mark.parametrize(("graph", "reason"), BAD.values(), ids=BAD.keys())
def test_graphs_that_can_never_work_are_refused(graph: dict[str, Any], reason: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        refuse_graph(graph)
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)
