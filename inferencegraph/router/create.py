"""The local InferenceGraph router: answers as KServe's own router does.

graph = load_graph(Path("graph.yaml"))
check(graph)
run(create_app(graph), "127.0.0.1", 8080)
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import httpx

from inferencegraph.check.graph_check import check
from inferencegraph.router.app import Router
from inferencegraph.router.execution import bind
from inferencegraph.router.headers import HeaderFilter, patterns_from
from inferencegraph.router.server import GraphServer, run
from inferencegraph.router.spec import (
    Step,
    load_graph,
    parse,
)
from inferencegraph.router.step import StepService
from predictors.errors import ConfigurationError
from predictors.upstream.client import build_client

__all__ = ["GraphServer", "Router", "check", "create_app", "load_graph", "patterns_from", "run"]


def create_app(
    graph: Mapping[str, Any],
    resolve: Callable[[str], str] | None = None,
    propagate_headers: Sequence[str] = (),
) -> Router:
    """The router of an InferenceGraph, or of its spec.

    `resolve` gives the infer URL of a serviceName (a LookupError means that it knows none);
    `propagate_headers` are regular expressions. Raises ConfigurationError for a graph that can't
    be run here. One that runs but can never work is `graph_check.check`'s to refuse: given such a
    graph, the router answers what KServe's would.
    """
    spec = parse(graph)
    client = build_client(httpx.Timeout(None))
    timeouts = spec.router_timeouts

    def service(step: Step) -> StepService:
        url = step.service_url or _resolved(step.service_name, resolve)
        return StepService(client, url, timeouts.service_client)

    return Router(bind(spec, service), client, timeouts, HeaderFilter(propagate_headers))


def _resolved(service_name: str, resolve: Callable[[str], str] | None) -> str:
    if not service_name:
        return ""  # KServe's router calls the empty URL, and fails
    if resolve is None:
        raise ConfigurationError(
            f"serviceName {service_name!r} has no URL here; give the step a serviceUrl, or run the "
            "graph together with its services by `hem up`"
        )
    try:
        return resolve(service_name)
    except LookupError:
        raise ConfigurationError(f"there is no InferenceService {service_name!r}") from None
