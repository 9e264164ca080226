"""`hem delete`."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inferencegraph.commands.options import AsJson, Context, Kubeconfig, Namespace, Timeout, Wait
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from inferencegraph.cluster.api import Cluster
    from inferencegraph.cluster.deleting import Owned

STILL_THERE = 1


def delete(
    name: Annotated[
        str | None,
        typer.Argument(help="The owner: a spec's name, or a graph's.", show_default=False),
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "-f",
            "--filename",
            metavar="PATH",
            help="Instead of NAME: what was applied; repeatable.",
            show_default=False,
        ),
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List it; delete nothing.")] = False,
    wait: Wait = False,
    timeout: Timeout = 600.0,
    as_json: AsJson = False,
) -> None:
    """Deletes all objects with the owner's label, claims and their data included.

    Exit code 1: not gone in time (--wait).

    Example: `hem delete -f spec.yaml --wait`
    """
    from inferencegraph.cluster import deleting
    from inferencegraph.cluster.connection import connect
    from inferencegraph.cluster.waiting import wait_until_gone

    if (name is None) == (not files):
        raise ConfigurationError("give one of NAME and -f PATH")
    cluster = connect(context, namespace, kubeconfig)
    spaces, owners = ([cluster.namespace], [name]) if name else _of(files or [], cluster.namespace)
    found = [each for space in spaces for each in deleting.to_delete(cluster, owners, space)]
    if not found and name:
        raise deleting.nothing_of(cluster, name, cluster.namespace)
    if not found and not as_json:
        print("nothing to delete")
    gone = _deleted(cluster, found, wait=wait, dry_run=dry_run, quiet=as_json)
    left = wait_until_gone(cluster, found, timeout) if wait and not dry_run else []
    if as_json:
        print(json.dumps({"owners": owners, "dryRun": dry_run, "deleted": gone}))
    for content in left:
        print(f"hem: still there after {timeout:g} s: {_held(content)}", file=sys.stderr)
    if left:
        raise typer.Exit(STILL_THERE)


def _of(files: list[Path], default: str) -> tuple[list[str], list[str]]:
    """Namespaces and owners of what is in files, which may be wrong by now."""
    from inferencegraph.cluster.owners import the_owners
    from inferencegraph.spec.reading import load_objects

    documents = load_objects(files)
    spaces = {
        str((each.content.get("metadata") or {}).get("namespace") or default) for each in documents
    }
    return sorted(spaces), the_owners(documents, None)


def _deleted(
    cluster: "Cluster", found: "Sequence[Owned]", *, wait: bool, dry_run: bool, quiet: bool
) -> list[str]:
    """Names of what is gone, or would be; told as it happens."""
    from inferencegraph.cluster.deleting import delete as carry_out
    from inferencegraph.cluster.steps import name_of

    gone: list[str] = []

    def tell(what: str) -> None:
        gone.append(what)
        if not quiet:
            print(f"{what} deleted{' (dry run)' if dry_run else ''}", flush=True)

    if dry_run:
        for _, content in found:
            tell(name_of(content))
    else:
        carry_out(cluster, found, wait=wait, tell=tell)
    return gone


def _held(content: dict[str, Any]) -> str:
    """Its name, and what keeps it."""
    from inferencegraph.cluster.steps import name_of

    finalizers = content["metadata"].get("finalizers") or []
    by = f", held by its finalizers {', '.join(finalizers)}" if finalizers else ""
    return f"{name_of(content)}{by}"
