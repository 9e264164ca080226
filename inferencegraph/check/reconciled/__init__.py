"""What KServe's controller makes of a site in Standard mode: a small model of version 0.20.

made      an object that it makes, and where its parts stand in what the user wrote
runtimes  a predictor's `model` and its ServingRuntime, merged into one pod
services  InferenceServices: Deployment, Service, HorizontalPodAutoscaler, Ingress
graphs    InferenceGraphs: the router's Deployment, Service and autoscaler
checks    the API server's rules, asked of what would be made

A test feeds it what a real controller was given, and compares all that it made.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from inferencegraph.check.containers import mapping
from inferencegraph.check.reconciled.graphs import of_graph
from inferencegraph.check.reconciled.made import Made
from inferencegraph.check.reconciled.services import of_service


def reconciled(documents: Sequence[Mapping[str, Any]]) -> list[Made]:
    """The core objects that KServe makes of InferenceServices and InferenceGraphs."""
    services = _by_name(documents, "InferenceService")
    runtimes = _by_name(documents, "ServingRuntime", "ClusterServingRuntime")
    made = [each for service in services.values() for each in of_service(service, runtimes)]
    for graph in _by_name(documents, "InferenceGraph").values():
        made += of_graph(graph, services)
    return made


def _by_name(documents: Sequence[Mapping[str, Any]], *kinds: str) -> dict[str, Mapping[str, Any]]:
    return {
        str(mapping(each.get("metadata")).get("name")): each
        for each in documents
        if each.get("kind") in kinds
    }
