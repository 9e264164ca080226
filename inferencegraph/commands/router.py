"""`hem router`."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from inferencegraph.commands.options import DEFAULT_PORT, HealthTimeout
from predictors.errors import ConfigurationError


def router(
    graph: Annotated[
        Path | None,
        typer.Option(
            help="An InferenceGraph whose steps have serviceUrl: YAML, or its spec as JSON.",
            show_default=False,
        ),
    ] = None,
    graph_json: Annotated[
        str | None,
        typer.Option(
            metavar="JSON",
            help="The spec itself as JSON, as KServe gives it to its router. It is not checked "
            "first.",
            show_default=False,
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Where it listens; 0.0.0.0: on all addresses.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = DEFAULT_PORT,
    name: Annotated[
        str | None, typer.Option(help="Which graph, if the file has several.", show_default=False)
    ] = None,
    health_timeout: HealthTimeout = 0.0,
    drain_seconds: Annotated[
        float,
        typer.Option(
            min=0,
            metavar="SECONDS",
            help="After SIGTERM /readyz is 503, and new connections are served for so long.",
        ),
    ] = 0.0,
) -> None:
    """Runs only a graph's router; the services are somewhere else.

    The environment's PROPAGATE_HEADERS names the headers to pass on: regular expressions with
    commas between them.

    Example: `hem router --graph graph.yaml --port 8080`
    """
    from inferencegraph.router.app import create_app, patterns_from
    from inferencegraph.router.server import run
    from predictors.tracing.settings import start_tracing
    from predictors.tracing.spans import stop as stop_tracing

    app = create_app(
        _loaded(graph, graph_json, name),
        propagate_headers=patterns_from(os.environ),
        health_timeout=health_timeout,
    )
    start_tracing(app.name or "hem-router")
    try:
        run(app, host, port, lambda url: print(f"hem: ready {url}", flush=True), drain_seconds)
    finally:
        stop_tracing()


def _loaded(graph: Path | None, graph_json: str | None, name: str | None) -> dict[str, Any]:
    """Raises ConfigurationError."""
    from inferencegraph.router.spec import load_graph, read_graph

    if graph is not None and graph_json is None:
        from inferencegraph.check.validate import refuse_graph

        loaded = load_graph(graph, name)
        refuse_graph(loaded)
        return loaded
    if graph_json is not None and graph is None:
        return read_graph(graph_json)
    raise ConfigurationError("give either --graph or --graph-json")
