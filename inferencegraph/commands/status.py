"""`hem status`."""

import json
from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated

import typer

from inferencegraph.commands.options import AsJson, Context, Kubeconfig, Namespace

if TYPE_CHECKING:
    from inferencegraph.cluster.api import Cluster
    from inferencegraph.cluster.status import Service

REFRESH_SECONDS = 10.0  # after which metrics are read again though nothing has changed


def status(
    name: Annotated[
        str | None,
        typer.Argument(help="A spec's name, or a graph's. Default: all.", show_default=False),
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Follow the cluster until Ctrl-C.")
    ] = False,
    write: Annotated[
        bool,
        typer.Option("--write", help="Also store the status in the LLMJointInferenceService."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Shows what runs on a cluster, per site and side, and what can be known of its promise.

    Exit code 0: all runs; 1: something has failed; 3: something is pending; 2: the cluster can't
    be asked.

    Example: `hem status shop --watch`
    """
    from inferencegraph.cluster.connection import connect
    from inferencegraph.cluster.observing import observe
    from inferencegraph.cluster.status import services, store, worst
    from inferencegraph.cluster.telemetry import Reader

    cluster = connect(context, namespace, kubeconfig)
    if watch:
        _watch(cluster, name, write, as_json)
        return
    snapshot = observe(cluster, cluster.namespace)
    found = services(snapshot, Reader(cluster, cluster.namespace), name)
    _print(found, as_json)
    if write:
        store(cluster, found)
    raise typer.Exit(worst(found))


def _print(found: list["Service"], as_json: bool) -> None:
    from inferencegraph.cluster.status import as_json as facts
    from inferencegraph.cluster.table import status_table

    if as_json:
        print(json.dumps([facts(service) for service in found]), flush=True)
        return
    from rich.console import Console

    Console(soft_wrap=False).print(status_table(found))


def _watch(cluster: "Cluster", name: str | None, write: bool, as_json: bool) -> None:
    """Draws again after each change; where nobody looks at a terminal, prints again."""
    from rich.console import Console
    from rich.live import Live

    from inferencegraph.cluster.observing import observing
    from inferencegraph.cluster.status import services, store
    from inferencegraph.cluster.table import status_table
    from inferencegraph.cluster.telemetry import Reader

    reader = Reader(cluster, cluster.namespace, REFRESH_SECONDS)
    console = Console()
    drawn = console.is_terminal and not as_json
    with (
        observing(cluster, cluster.namespace) as observer,
        Live(console=console, auto_refresh=False) if drawn else nullcontext() as live,
    ):
        while True:
            found = services(observer.now(), reader, name)
            if live is None:
                _print(found, as_json)
            else:
                live.update(status_table(found), refresh=True)
            if write:
                store(cluster, found)
            observer.wait(REFRESH_SECONDS)
