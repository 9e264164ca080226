"""Between objects: the InferenceServices that a graph's steps name."""

from collections.abc import Iterator, Mapping
from typing import Any

from inferencegraph.check.containers import argument, entry_container, environment, mapping
from inferencegraph.check.graphs import steps_of
from inferencegraph.check.problem import Finding, Others, error, warning
from predictors.upstream.limits import longest_call


def check_calls(graph: Mapping[str, Any], others: Others) -> Iterator[Finding]:
    spec = mapping(graph.get("spec"))
    client_seconds = mapping(spec.get("routerTimeouts")).get("serviceClient")
    for node_name, node in mapping(spec.get("nodes")).items():
        for index, step in enumerate(steps_of(mapping(node))):
            field = f"spec.nodes.{node_name}.steps[{index}].serviceName"
            name = step.get("serviceName")
            if not isinstance(name, str):
                continue
            if name in others.services:
                yield from _check_called(name, others.services[name], field)
                yield from _check_timeout(name, others.services[name], client_seconds, field)
            else:
                yield others.missing(field, "InferenceService", name, others.services)


def _check_called(name: str, service: Mapping[str, Any], field: str) -> Iterator[Finding]:
    entry = entry_container(service)
    if entry is None:
        yield from _check_called_model(name, service, field)
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


def _check_called_model(name: str, service: Mapping[str, Any], field: str) -> Iterator[Finding]:
    """A predictor that a ServingRuntime serves."""
    model = mapping(mapping(mapping(service.get("spec")).get("predictor")).get("model"))
    if model and model.get("protocolVersion") != "v2":
        yield error(
            field,
            f"KServe would call {name!r} by V1: its spec.predictor.model has no protocolVersion "
            "v2; where its runtime has the OpenAI API only, put a predictor with the engine "
            "openai_api before it",
        )


def _check_timeout(
    name: str, service: Mapping[str, Any], client_seconds: Any, field: str
) -> Iterator[Finding]:
    """An uplink has to give up before the router does, or its error body is never seen."""
    entry = entry_container(service)
    seconds = _longest_call(entry[1]) if entry else None
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
