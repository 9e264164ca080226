"""`hem validate`."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inferencegraph.commands.options import AsJson, Context, Kubeconfig, Manifests, Namespace
from predictors.errors import ConfigurationError, HEMError

if TYPE_CHECKING:
    from inferencegraph.check.definitions.definition import Definition
    from inferencegraph.check.problem import Problem
    from inferencegraph.cluster.api import Cluster
    from inferencegraph.read.documents import Document


def validate(
    files: Manifests,
    crds: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Also check by the CustomResourceDefinitions in a folder or file, by their whole "
            "schema; repeatable.",
            show_default=False,
        ),
    ] = None,
    server: Annotated[
        bool,
        typer.Option(
            "--server",
            help="Also ask a cluster, as dry runs: of each object, and of what KServe would make "
            "of it. Changes nothing.",
        ),
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
    kubeconfig: Kubeconfig = None,
    as_json: AsJson = False,
    sarif: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also write SARIF, for code review tools.", show_default=False
        ),
    ] = None,
) -> None:
    """Checks manifests and one-click specs, without a cluster or (--server) by one.

    Exit code 1: there is an error; 2: something can't be read, or the cluster can't be asked.

    Example: `hem validate -f manifests/answer-generation/mining-then-inference --server`
    """
    from inferencegraph.check.definitions.checking import Definitions
    from inferencegraph.check.definitions.reading import read_definitions
    from inferencegraph.check.validate import validate as check
    from inferencegraph.read.kustomize import load_documents
    from inferencegraph.spec.reading import expanded

    if not server and (namespace or context or kubeconfig):
        raise ConfigurationError("--namespace, --context and --kubeconfig say which --server")
    definitions = [each for path in crds or () for each in read_definitions(path)]
    read = expanded([document for file in files for document in load_documents(file)])
    cluster, failure = None, None
    if server:
        cluster, served, failure = _connected(context, namespace, kubeconfig, read.documents)
        definitions = [*served, *definitions]
    known = Definitions(definitions, judged=cluster is not None)
    contents = [item.content for item in read.documents]
    problems = read.problems + check(contents, read.documents, definitions=known)
    if cluster is not None:
        judged, failure = _judged(cluster, read.documents, namespace, problems)
        problems += judged
    if sarif is not None:
        _write_sarif(problems, sarif)
    _print(problems, len(contents), as_json)
    if failure:
        raise failure
    if any(problem.severity == "error" for problem in problems):
        raise typer.Exit(1)


def _connected(
    context: str | None,
    namespace: str | None,
    kubeconfig: Path | None,
    documents: "Sequence[Document]",
) -> "tuple[Cluster | None, list[Definition], HEMError | None]":
    """The cluster with its definitions, or why it can't be asked: what is known without it is told
    all the same."""
    from inferencegraph.cluster.connection import connect
    from inferencegraph.cluster.definitions import definitions_in

    try:
        cluster = connect(context, namespace, kubeconfig)
        return cluster, definitions_in(cluster, documents), None
    except HEMError as error:
        return None, [], error


def _judged(
    cluster: "Cluster",
    documents: "Sequence[Document]",
    namespace: str | None,
    told: "Sequence[Problem]",
) -> "tuple[list[Problem], HEMError | None]":
    """What the API server says beside what is told already, or why it can't be asked."""
    from inferencegraph.cluster.judging import judged, not_told_yet

    try:
        return not_told_yet(judged(cluster, documents, namespace), told), None
    except HEMError as error:
        return [], error


def _print(problems: "Sequence[Problem]", objects: int, as_json: bool) -> None:
    if as_json:
        print(json.dumps([asdict(problem) for problem in problems], default=str))
        return
    for problem in problems:
        print(f"{problem.severity}: {problem} [{problem.rule}]")
    errors, warnings, notes = (
        sum(problem.severity == severity for problem in problems)
        for severity in ("error", "warning", "note")
    )
    counted = f"{objects} objects, {errors} errors, {warnings} warnings"
    print(f"{counted}, {notes} notes" if notes else counted, flush=True)


def _write_sarif(problems: "Sequence[Problem]", path: Path) -> None:
    from inferencegraph.check.sarif import to_sarif

    try:
        path.write_text(json.dumps(to_sarif(problems), indent=2), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"--sarif {path}: {error.strerror or error}") from error
