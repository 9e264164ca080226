"""`hem apply`."""

import json
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inferencegraph.commands.options import (
    AsJson,
    Context,
    Kubeconfig,
    Manifests,
    Namespace,
    Timeout,
    Wait,
)

if TYPE_CHECKING:
    from inferencegraph.cluster.api import Cluster
    from inferencegraph.cluster.applying import Plan

NOT_READY = 1


def apply(
    files: Manifests,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    owner: Annotated[
        str | None,
        typer.Option(
            help="Label of all objects, by which they are pruned, deleted and found. Default: the "
            "spec's name, the label that they have, or the graph's name.",
            show_default=False,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Ask the cluster what would happen; change nothing.")
    ] = False,
    diff: Annotated[
        bool, typer.Option("--diff", help="Show what changes in each object, line by line.")
    ] = False,
    wait: Wait = False,
    timeout: Timeout = 600.0,
    force_conflicts: Annotated[
        bool,
        typer.Option("--force-conflicts", help="Take over fields that another manager has set."),
    ] = False,
    no_prune: Annotated[
        bool, typer.Option("--no-prune", help="Keep the owner's objects that are not in the files.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Puts a spec or manifests on a cluster, all or nothing, and deletes what they don't have any
    more.

    Everything is tried out on the cluster before the first change. Exit code 1: applied, but not
    ready in time (--wait); 2: refused, and what stands is said.

    Example: `hem apply -f spec.yaml --wait`
    """
    from inferencegraph.cluster.applying import plan
    from inferencegraph.cluster.connection import connect
    from inferencegraph.cluster.sources import read_sources

    sources = read_sources(files)
    for warning in sources.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    cluster = connect(context, namespace, kubeconfig)
    made = plan(
        cluster,
        sources,
        namespace=namespace,
        owner=owner,
        force=force_conflicts,
        prune=not no_prune,
    )
    _announce(made)
    if diff and not as_json:
        _show_differences(made)
    done = _done(cluster, made, force=force_conflicts, dry_run=dry_run, quiet=as_json)
    ready = _waited(cluster, made, timeout) if wait and not dry_run else None
    if as_json:
        about: dict[str, Any] = {"owners": made.owners, "dryRun": dry_run, "changes": done}
        if diff:
            about["differences"] = {step.name: step.difference for step in made.steps}
        print(json.dumps(about | ({} if ready is None else {"ready": ready})))
    if ready is False:
        raise typer.Exit(NOT_READY)


def _announce(made: "Plan") -> None:
    from inferencegraph.cluster.steps import name_of

    for note in made.notes:
        print(f"warning: {note}", file=sys.stderr)
    if made.left:
        listed = ", ".join(name_of(content) for _, content in made.left)
        print(f"not in the files any more, so deleted at the end: {listed}", file=sys.stderr)
    for content in made.kept:
        print(
            f"not in the files any more, but kept with its data: {name_of(content)}",
            file=sys.stderr,
        )


def _show_differences(made: "Plan") -> None:
    for step in made.steps:
        if text := step.difference:
            print(text)


def _done(
    cluster: "Cluster", made: "Plan", *, force: bool, dry_run: bool, quiet: bool
) -> list[dict[str, str]]:
    """What became of each object, or would; told as it happens."""
    from inferencegraph.cluster.applying import carry_out

    done: list[dict[str, str]] = []

    def tell(verb: str, name: str) -> None:
        done.append({"object": name, "change": verb})
        if not quiet:
            print(f"{name} {verb}{' (dry run)' if dry_run else ''}", flush=True)

    if dry_run:
        for verb, name in _would(made):
            tell(verb, name)
    else:
        carry_out(cluster, made, force=force, tell=tell)
    return done


def _would(made: "Plan") -> list[tuple[str, str]]:
    from inferencegraph.cluster.steps import name_of

    changes = [(step.change, step.name) for step in made.steps]
    return changes + [("deleted", name_of(content)) for _, content in reversed(made.left)]


def _waited(cluster: "Cluster", made: "Plan", seconds: float) -> bool:
    from inferencegraph.cluster.waiting import NotReady, wait_until_running

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    spaces = {step.content["metadata"].get("namespace") for step in made.steps} - {None}
    try:
        for space in sorted(spaces):
            wait_until_running(cluster, space, made.owners, seconds, tell)
    except NotReady as late:
        print(f"hem: not ready after {seconds:g} s:\n{late}", file=sys.stderr)
        return False
    return True
