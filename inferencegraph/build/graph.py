"""The InferenceGraph shapes, and the one place that writes gjson conditions.

The two of mining are among the cases that were run against KServe's own router. Why their steps are
as they are (`docs/architecture.md` draws the whole path of a query):

- A Sequence step whose condition is false ends its node with the body before it and status 200,
  even where that body is an error. So a step whose failure must show is `dependency: Hard`.
- A step that can't be reached at all ends the graph with 500, even a Soft one. So the cloud stands
  behind the uplink, which turns every failure into an error body, and then `degrade` can answer.
- A condition tests that a gjson path exists: it holds for `false` too, unless it compares.

Built as plain dicts, like `pods.py`.
"""

from typing import Any, Final

from inferencegraph.build.pods import (
    ANY_EDGE_NODE,
    STANDARD_MODE,
    EdgeNode,
    Resources,
    labels,
)
from inferencegraph.build.sites import DEFAULT_TIMEOUTS, Timeouts
from predictors.contract import (
    CLOUD,
    EDGE,
    HEM_ROUTE,
)

API_VERSION: Final = "serving.kserve.io/v1alpha1"
FAILED: Final = "error"  # gjson Exists: every error body of ours has a top-level `error`
ROUTER_RESOURCES: Final = Resources(cpu="250m", memory="256Mi")

Step = dict[str, str]


def routed_to(route: str) -> str:
    """The condition that holds for a body whose `hem_route` is `route`.

    A bare path would only test that the parameter exists; `[@this].#(...)` compares.
    """
    return f'[@this].#(parameters.{HEM_ROUTE}=="{route}")'


def mining_then_inference(
    name: str,
    *,
    node: EdgeNode = ANY_EDGE_NODE,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    resources: Resources = ROUTER_RESOURCES,
    owner: str | None = None,
) -> dict[str, Any]:
    """Query stage: mine the query, then switch it to `<name>-edge` or `<name>-uplink`."""
    nodes = {
        "root": _sequence(
            {"name": "mine", "serviceName": f"{name}-hem", "dependency": "Hard"},
            {"name": "answer", "nodeName": "answer", "data": "$response"},
        ),
        "answer": _sequence({"name": "route", "nodeName": "route"}, _degrade(name)),
        "route": {
            "routerType": "Switch",
            "steps": [
                {"name": EDGE, "serviceName": f"{name}-edge", "condition": routed_to(EDGE)},
                {"name": CLOUD, "serviceName": f"{name}-uplink", "condition": routed_to(CLOUD)},
            ],
        },
    }
    return _graph(name, nodes, node, timeouts, resources, owner)


def inference_then_mining(
    name: str,
    *,
    node: EdgeNode = ANY_EDGE_NODE,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    resources: Resources = ROUTER_RESOURCES,
    owner: str | None = None,
) -> dict[str, Any]:
    """Answer stage: `<name>-edge` answers and mines its answer; hard ones go to the uplink."""
    escalate = {
        "name": "escalate",
        "serviceName": f"{name}-uplink",
        "data": "$request",
        "condition": routed_to(CLOUD),
    }
    edge = {"name": EDGE, "serviceName": f"{name}-edge", "dependency": "Hard"}
    nodes = {"root": _sequence(edge, escalate, _degrade(name))}
    return _graph(name, nodes, node, timeouts, resources, owner)


def self_design(
    name: str,
    *,
    node: EdgeNode = ANY_EDGE_NODE,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    resources: Resources = ROUTER_RESOURCES,
    owner: str | None = None,
) -> dict[str, Any]:
    """A strategy: `<x>-edge` answers, or makes a request for the cloud; that is also what it gets
    again where the uplink fails, as it knows from it what to answer then."""
    edge = {"name": EDGE, "serviceName": f"{name}-edge", "dependency": "Hard"}
    ask = {
        "name": "ask",
        "nodeName": "ask",
        "data": "$response",
        "condition": routed_to(CLOUD),
    }
    cloud = {"name": CLOUD, "serviceName": f"{name}-uplink"}
    nodes = {"root": _sequence(edge, ask), "ask": _sequence(cloud, _degrade(name))}
    return _graph(name, nodes, node, timeouts, resources, owner)


def joint_at_edge(
    name: str,
    *,
    node: EdgeNode = ANY_EDGE_NODE,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    resources: Resources = ROUTER_RESOURCES,
    owner: str | None = None,
) -> dict[str, Any]:
    """A strategy that `<x>-edge` does by itself: its engine asks the cloud."""
    edge = {"name": EDGE, "serviceName": f"{name}-edge", "dependency": "Hard"}
    return _graph(name, {"root": _sequence(edge)}, node, timeouts, resources, owner)


def _sequence(*steps: Step) -> dict[str, Any]:
    return {"routerType": "Sequence", "steps": list(steps)}


def _degrade(name: str) -> Step:
    return {
        "name": "degrade",
        "serviceName": f"{name}-edge",
        "data": "$request",
        "condition": FAILED,
    }


def _graph(
    name: str,
    nodes: dict[str, Any],
    node: EdgeNode,
    timeouts: Timeouts,
    resources: Resources,
    owner: str | None,
) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "InferenceGraph",
        "metadata": {
            "name": name,
            "labels": labels(name, "graph", owner),
            "annotations": dict(STANDARD_MODE),
        },
        "spec": {
            "nodes": nodes,
            "routerTimeouts": {
                "serverWrite": timeouts.server_write,
                "serviceClient": timeouts.service_client,
            },
            "minReplicas": 1,
            "maxReplicas": 1,
            "resources": resources.manifest(),
            **node.manifest(),
        },
    }
