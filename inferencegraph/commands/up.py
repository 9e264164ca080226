"""`hem up`."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inferencegraph.commands.options import DEFAULT_PORT, HealthTimeout
from predictors.errors import HEMError

if TYPE_CHECKING:
    from inferencegraph.local.stack import Stack


def up(
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "-f",
            "--filename",
            metavar="PATH",
            help="Manifests: a file, a folder, or a kustomization; repeatable. "
            "Default: the embedded example.",
            show_default=False,
        ),
    ] = None,
    graph: Annotated[
        str | None, typer.Option(help="Only this InferenceGraph.", show_default=False)
    ] = None,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Of the first graph; 0 takes a free one.")
    ] = DEFAULT_PORT,
    image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=COMMAND",
            help="What runs here in place of a container image; repeatable.",
            show_default=False,
        ),
    ] = None,
    router: Annotated[
        str | None,
        typer.Option(
            metavar="DIRECTORY",
            help="A trained router for all mining, with its algorithm and threshold.",
            show_default=False,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="SERVICE.NAME=VALUE",
            help="An option (url), or a variable by its name, of one service, whatever its "
            "manifest says; repeatable.",
            show_default=False,
        ),
    ] = None,
    no_restart: Annotated[
        bool, typer.Option("--no-restart", help="Don't start a service again that has died.")
    ] = False,
    health_timeout: HealthTimeout = 1.5,
    logs: Annotated[bool, typer.Option("--logs", help="Show the services' own lines.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print events as JSON lines.")] = False,
) -> None:
    """Runs manifests as local processes until Ctrl-C, with no cluster and no containers.

    Example: `hem up -f manifests/answer-generation/inference-then-mining --port 9000`
    """
    from inferencegraph.commands.running import run_until_signal
    from inferencegraph.local.observer import JsonObserver, TextObserver
    from inferencegraph.local.stack import running
    from predictors.tracing.settings import start_tracing
    from predictors.tracing.spans import stop as stop_tracing

    observer = (JsonObserver if as_json else TextObserver)(logs=logs)

    async def run() -> None:
        async with running(
            files or [],
            observer,
            graph=graph,
            port=port,
            images=image or [],
            settings=set_ or [],
            router=router,
            restart=not no_restart,
            health_timeout=health_timeout,
        ) as stack:
            await _tell_ready(stack, as_json)
            await stack.watch()
        raise HEMError("no service is left; stopped")

    start_tracing("hem")
    try:
        run_until_signal(run)
    finally:
        stop_tracing()
    print("hem: stopped", file=sys.stderr)


async def _tell_ready(stack: "Stack", as_json: bool) -> None:
    from inferencegraph.local.example_request import chats, suggestions

    if as_json:
        where = {"urls": stack.urls, "gateways": stack.gateways, "pages": stack.pages}
        print(json.dumps({"event": "all_ready", **where}), flush=True)
        return
    print(*(f"hem: ready {url}" for url in stack.urls), sep="\n", flush=True)
    for line in await suggestions(stack.plan, stack.urls[0]):
        print(f"  {line}")
    print(*chats(stack.plan), sep="\n")
    print("  Ctrl-C stops everything.", flush=True)
