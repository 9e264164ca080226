"""`hem render`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from inferencegraph.commands.options import Manifests


def render(
    files: Manifests,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FOLDER", help="Write a file for each object there."),
    ] = None,
    kustomize: Annotated[
        bool, typer.Option("--kustomize", help="With -o: a kustomization.yaml beside them.")
    ] = False,
) -> None:
    """Makes manifests from a one-click spec, on stdout or in a folder.

    Example: `hem render -f spec.yaml | kubectl apply -f -`
    """
    from inferencegraph.spec.output import to_folder, to_text
    from inferencegraph.spec.reading import read_objects

    read = read_objects(files)
    for problem in read.problems:
        if problem.severity == "warning":
            print(f"warning: {problem}", file=sys.stderr)
    if out is None:
        print(to_text(read.documents), end="")
        return
    for path in to_folder(read.documents, out, kustomize=kustomize):
        print(path)
