"""InferenceGraphs: nodes, steps and conditions, and the InferenceServices that steps name.

What KServe's webhook refuses, and what it lets through though it can't work.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from inferencegraph.check.conditions import check_condition
from inferencegraph.check.containers import (
    argument,
    entry_container,
    environment,
    mapping,
    sequence,
)
from inferencegraph.check.problem import Finding, Others, error, unknown, warning
from predictors.errors import known
from predictors.upstream.limits import longest_call
from predictors.upstream.redaction import shown_url

ROUTER_TYPES: Final = ("Sequence", "Splitter", "Ensemble", "Switch")
TARGETS: Final = ("nodeName", "serviceName", "serviceUrl")
_DEPENDENCIES: Final = ("Soft", "Hard")
_REQUEST, _RESPONSE = "$request", "$response"
_DEFAULT_SERVER_WRITE_S: Final = 60

Steps = list[Mapping[str, Any]]


def check_graph(graph: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    """The graph by itself."""
    yield from check_spec(mapping(graph.get("spec")))


def check_spec(spec: Mapping[str, Any]) -> Iterator[Finding]:
    """What matters to the router alone, wherever it runs."""
    nodes = {str(name): mapping(node) for name, node in mapping(spec.get("nodes")).items()}
    yield from _check_timeouts(mapping(spec.get("routerTimeouts")))
    if "root" not in nodes:
        names = f"found: {', '.join(nodes)}" if nodes else "it is empty"
        yield error("spec.nodes", f"has no node 'root', where a query enters; {names}")
    for name, node in nodes.items():
        yield from _check_node(name, node, nodes)
    yield from _check_reach(nodes)


def steps_of(node: Mapping[str, Any]) -> Steps:
    return [mapping(step) for step in sequence(node.get("steps"))]


def _check_timeouts(timeouts: Mapping[str, Any]) -> Iterator[Finding]:
    field = "spec.routerTimeouts"
    write, client = timeouts.get("serverWrite"), timeouts.get("serviceClient")
    if not isinstance(client, int):
        yield warning(
            f"{field}.serviceClient", "is missing, so a step may hang for ever; set seconds"
        )
    elif client >= (write if isinstance(write, int) else _DEFAULT_SERVER_WRITE_S):
        yield warning(
            f"{field}.serverWrite",
            f"ends before serviceClient ({client} s) and drops the caller's connection; set it "
            "to the seconds that all steps of a query may take",
        )


def _check_node(
    name: str, node: Mapping[str, Any], nodes: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    field = f"spec.nodes.{name}"
    kind, steps = node.get("routerType"), steps_of(node)
    if kind is not None and kind not in ROUTER_TYPES:
        yield unknown(f"{field}.routerType", "type", kind, ROUTER_TYPES)
    if not steps:
        yield error(f"{field}.steps", "is empty; a node needs at least one step")
    names = [step.get("name") for step in steps]
    for twice in sorted({str(n) for n in names if n and names.count(n) > 1}):
        yield error(f"{field}.steps", f"more than one step is called {twice!r}; rename one")
    for index, step in enumerate(steps):
        yield from _check_step(step, f"{field}.steps[{index}]", nodes)
        yield from _check_place(str(kind), steps, index, f"{field}.steps[{index}]")
    if kind == "Splitter":
        yield from _check_weights(steps, field)


def _check_step(
    step: Mapping[str, Any], field: str, nodes: Mapping[str, Mapping[str, Any]]
) -> Iterator[Finding]:
    targets = [target for target in TARGETS if step.get(target)]
    if len(targets) != 1:
        named = " and ".join(targets) or "none"
        yield error(field, f"needs exactly one of {', '.join(TARGETS)}; found {named}")
    target = step.get("nodeName")
    if isinstance(target, str) and target and target not in nodes:
        yield unknown(f"{field}.nodeName", "node", target, nodes)
    url = step.get("serviceUrl")
    if isinstance(url, str) and url and not url.startswith(("http://", "https://")):
        yield error(f"{field}.serviceUrl", f"{shown_url(url)!r} is not an http or https URL")
    dependency, data = step.get("dependency"), step.get("data")
    if dependency is not None and dependency not in _DEPENDENCIES:
        yield unknown(f"{field}.dependency", "value", dependency, _DEPENDENCIES)
    if isinstance(data, str) and data not in ("", _REQUEST, _RESPONSE):
        yield warning(
            f"{field}.data",
            f"is {data!r}, but the router takes all but {_RESPONSE} for {_REQUEST}: this step gets "
            f"the request; {known(data, (_REQUEST, _RESPONSE), brief=True)}",
        )
    condition = step.get("condition")
    if isinstance(condition, bool | int):  # YAML's true; its type is another check's to report
        condition = str(condition).lower()
    if isinstance(condition, str) and condition:
        yield from check_condition(condition, f"{field}.condition")


def _check_place(kind: str, steps: Steps, index: int, field: str) -> Iterator[Finding]:
    """What a step's place among the others makes of its condition."""
    condition = steps[index].get("condition")
    if kind == "Switch" and not condition:
        yield error(field, "a Switch never takes a step without condition; give it one")
    if kind in ("Splitter", "Ensemble") and condition:
        yield warning(f"{field}.condition", f"the routerType {kind} ignores conditions; remove it")
    if steps[index].get("data") == _RESPONSE and (kind != "Sequence" or index == 0):
        yield warning(
            f"{field}.data",
            f"there is no response before this step, so it gets the request; {_RESPONSE} has a "
            "meaning from the second step of a Sequence on",
        )
    if kind != "Sequence":
        return
    if index == 0 and condition:
        yield error(
            f"{field}.condition",
            "the first step of a Sequence has no response to test (500); use a Switch",
        )
    following = steps[index + 1].get("condition") if index + 1 < len(steps) else None
    if following and following != "error" and steps[index].get("dependency") != "Hard":
        yield warning(
            f"{field}.dependency",
            "when this step fails and the next one's condition is false, the graph answers its "
            "error with status 200; set dependency: Hard",
        )


def _check_weights(steps: Steps, field: str) -> Iterator[Finding]:
    weights = [step.get("weight") for step in steps]
    for index, weight in enumerate(weights):
        if weight is None:
            yield error(f"{field}.steps[{index}].weight", "is missing; a Splitter needs one each")
        elif isinstance(weight, int) and weight < 0:
            yield error(f"{field}.steps[{index}].weight", f"is {weight}; at least 0 is needed")
    total = sum(weight for weight in weights if isinstance(weight, int))
    if None not in weights and total != 100:
        yield error(f"{field}.steps", f"the weights of a Splitter add up to {total}, not 100")


def _check_reach(nodes: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Nodes that lead back to themselves (the router never returns) or that nothing leads to."""
    leads_to = {
        name: [s["nodeName"] for s in steps_of(node) if str(s.get("nodeName")) in nodes]
        for name, node in nodes.items()
    }
    reached = _reachable("root", leads_to) | {"root"}
    for name in nodes:
        if name in _reachable(name, leads_to):
            yield error(f"spec.nodes.{name}", "leads back to itself, so a query never ends")
        elif "root" in nodes and name not in reached:
            yield warning(f"spec.nodes.{name}", "no step leads here from root; remove it")


def _reachable(start: str, leads_to: Mapping[str, list[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(leads_to.get(start, []))
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += leads_to.get(name, [])
    return seen


def check_calls(graph: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    """The InferenceServices that the steps name."""
    spec = mapping(graph.get("spec"))
    client_seconds = mapping(spec.get("routerTimeouts")).get("serviceClient")
    for node_name, node in mapping(spec.get("nodes")).items():
        for index, step in enumerate(steps_of(mapping(node))):
            field = f"spec.nodes.{node_name}.steps[{index}].serviceName"
            name = step.get("serviceName")
            if not isinstance(name, str):
                continue
            if name in others.services:
                yield from _check_called(name, others.services[name], client_seconds, field)
            else:
                yield others.missing(field, "InferenceService", name, others.services)


def _check_called(
    name: str, service: Mapping[str, Any], client_seconds: Any, field: str
) -> Iterator[Finding]:
    entry = entry_container(service)
    if entry is None:  # a ServingRuntime serves it
        model = mapping(mapping(mapping(service.get("spec")).get("predictor")).get("model"))
        if model and model.get("protocolVersion") != "v2":
            yield error(
                field,
                f"KServe would call {name!r} by V1: its spec.predictor.model has no "
                "protocolVersion v2; where its runtime has the OpenAI API only, put a predictor "
                "with the engine openai_api before it",
            )
        return
    path, container = entry
    if environment(container, "PROTOCOL") != "v2":
        yield error(
            field,
            f"KServe would call {name!r} by V1: its {path} has no env PROTOCOL with the value 'v2'",
        )
    is_predictor = path.startswith("spec.predictor")
    if is_predictor and argument(container, "--model_name") is None:
        yield warning(
            field,
            f"{path} of {name!r} has no --model_name (KServe adds it to transformers only); "
            f"add --model_name={name}",
        )
    # An uplink has to give up before the router does, or its error body is never seen.
    seconds = _longest_call(container)
    if seconds and isinstance(client_seconds, int) and seconds >= client_seconds:
        yield warning(
            field,
            f"{name!r} waits {seconds:g} s (PREDICTOR_TIMEOUT and what comes before it, "
            f"PREDICTOR_QUEUE_TIMEOUT), the graph only {client_seconds} s (serviceClient): its "
            "failure would be a 500 instead of a degraded answer; make the first shorter",
        )


def _longest_call(container: Mapping[str, Any]) -> float | None:
    """Seconds; None where the container sets none, or not a number."""
    timeout = environment(container, "PREDICTOR_TIMEOUT")
    queue = environment(container, "PREDICTOR_QUEUE_TIMEOUT")
    try:
        return longest_call(float(timeout), float(queue) if queue else None) if timeout else None
    except ValueError:
        return None
