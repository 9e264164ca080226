"""Refuses InferenceGraphs that could never work, though KServe would accept and run them."""

import difflib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from inferencegraph.conditions import Condition
from inferencegraph.graph_spec import GraphSpec, Node, Step, parse, spec_of
from predictors.errors import ConfigurationError

ROOT: Final = "root"
ROUTER_TYPES: Final = ("Sequence", "Splitter", "Ensemble", "Switch")
_DATA: Final = ("", "$request", "$response")
_DEPENDENCIES: Final = ("", "Soft", "Hard")
_NODE_FIELDS: Final = {field.alias for field in Node.model_fields.values()}
_STEP_FIELDS: Final = {field.alias for field in Step.model_fields.values()}


def check(graph: Mapping[str, Any]) -> None:
    """Raises ConfigurationError naming node, step and reason. Takes the object or its spec.

    Stricter than the router itself, which answers as KServe's does even for graphs like these.
    """
    spec = parse(graph)
    if ROOT not in spec.nodes:
        found = ", ".join(spec.nodes) or "none"
        raise ConfigurationError(f"the graph has no node 'root', where it starts; nodes: {found}")
    for name, raw in spec_of(graph)["nodes"].items():
        _refuse_unknown_fields(name, raw)
    for name, node in spec.nodes.items():
        _check_node(name, node, spec)
    _refuse_cycles(spec)


def _check_node(name: str, node: Node, spec: GraphSpec) -> None:
    if node.router_type not in ROUTER_TYPES:
        raise ConfigurationError(
            f"node {name!r}: unknown routerType {node.router_type!r}; "
            f"known: {', '.join(ROUTER_TYPES)}"
        )
    if not node.steps:
        raise ConfigurationError(f"node {name!r}: has no steps")
    names = [step.name for step in node.steps if step.name]
    for step_name in names:
        if names.count(step_name) > 1:
            raise ConfigurationError(f"node {name!r}: two steps are called {step_name!r}")
    if node.router_type == "Splitter":
        _check_weights(name, node)
    for position, step in enumerate(node.steps):
        try:
            _check_step(step, spec)
            _check_condition(step, node.router_type, position)
        except ConfigurationError as error:
            label = node.step_label(position)
            raise ConfigurationError(f"node {name!r}, step {label}: {error}") from None


def _check_weights(name: str, node: Node) -> None:
    for position, step in enumerate(node.steps):
        if step.weight is None or step.weight < 0:
            label = node.step_label(position)
            raise ConfigurationError(
                f"node {name!r}, step {label}: weight is {step.weight}; "
                "every step of a Splitter needs one of 0 to 100"
            )
    total = sum(step.weight or 0 for step in node.steps)
    if total != 100:
        raise ConfigurationError(f"node {name!r}: the weights add up to {total}, not to 100")


def _check_step(step: Step, spec: GraphSpec) -> None:
    if len(step.targets) != 1:
        raise ConfigurationError(
            f"has {' and '.join(step.targets) or 'no target'}; "
            "give one of nodeName, serviceName, serviceUrl"
        )
    if step.node_name and step.node_name not in spec.nodes:
        known = ", ".join(spec.nodes)
        raise ConfigurationError(f"there is no node {step.node_name!r}; nodes: {known}")
    if step.service_url and not step.service_url.startswith(("http://", "https://")):
        raise ConfigurationError(f"serviceUrl {step.service_url!r} is no http or https URL")
    if step.data not in _DATA:
        raise ConfigurationError(f"data {step.data!r} is unknown; known: $request, $response")
    if step.dependency not in _DEPENDENCIES:
        raise ConfigurationError(f"dependency {step.dependency!r} is unknown; known: Hard, Soft")


def _check_condition(step: Step, router_type: str, position: int) -> None:
    if router_type == "Switch" and not step.condition:
        raise ConfigurationError("has no condition; a Switch has no default step")
    if router_type == "Sequence" and step.condition and position == 0:
        raise ConfigurationError("has a condition, but no step before it gave a body to test")
    if step.condition and Condition(step.condition).left_open:
        raise ConfigurationError(f"condition {step.condition!r} has a query that is never closed")


def _refuse_unknown_fields(name: str, node: Mapping[str, Any]) -> None:
    _refuse_unknown(f"node {name!r}", node, _NODE_FIELDS)
    for position, step in enumerate(node.get("steps") or []):
        label = repr(step.get("name") or position)
        _refuse_unknown(f"node {name!r}, step {label}", step, _STEP_FIELDS)


def _refuse_unknown(place: str, fields: Iterable[str], known: set[str | None]) -> None:
    for field in fields:
        if field not in known:
            names = sorted(filter(None, known))
            close = difflib.get_close_matches(str(field), names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"known: {', '.join(names)}"
            raise ConfigurationError(f"{place}: unknown field {field!r}; {hint}")


def _refuse_cycles(spec: GraphSpec) -> None:
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            loop = " -> ".join((*path[path.index(name) :], name))
            raise ConfigurationError(f"the nodes go round in a circle: {loop}")
        if name not in done:
            for step in spec.nodes[name].steps:
                if step.node_name:
                    visit(step.node_name, (*path, name))
            done.add(name)

    for name in spec.nodes:
        visit(name, ())
