"""`hem router`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from inferencegraph.commands.options import DEFAULT_PORT, HealthTimeout


def router(
    graph: Annotated[
        Path,
        typer.Option(
            help="An InferenceGraph whose steps have serviceUrl: YAML, or its spec as JSON.",
            show_default=False,
        ),
    ],
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = DEFAULT_PORT,
    name: Annotated[
        str | None, typer.Option(help="Which graph, if the file has several.", show_default=False)
    ] = None,
    health_timeout: HealthTimeout = 0.0,
) -> None:
    """Runs only a graph's router; the services are somewhere else.

    The environment's PROPAGATE_HEADERS names the headers to pass on: regular expressions with
    commas between them.

    Example: `hem router --graph graph.yaml --port 8080`
    """
    from inferencegraph.check.validate import refuse_graph
    from inferencegraph.router.app import create_app, patterns_from
    from inferencegraph.router.server import run
    from inferencegraph.router.spec import load_graph

    loaded = load_graph(graph, name)
    refuse_graph(loaded)
    headers = patterns_from(os.environ)
    app = create_app(loaded, propagate_headers=headers, health_timeout=health_timeout)
    run(app, "127.0.0.1", port, lambda url: print(f"hem: ready {url}", flush=True))
