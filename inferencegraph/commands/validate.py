"""`hem validate`."""

import json
from dataclasses import asdict

import typer

from inferencegraph.commands.options import AsJson, Manifests


def validate(
    files: Manifests,
    as_json: AsJson = False,
) -> None:
    """Checks manifests without a cluster; exit code 1 if there is an error.

    Example: `hem validate -f manifests/answer-generation/mining-then-inference`
    """
    from inferencegraph.check.validate import validate as check
    from inferencegraph.read.kustomize import load_documents
    from inferencegraph.spec.reading import expanded

    read = expanded([document for file in files for document in load_documents(file)])
    documents = read.documents
    problems = read.problems + check(
        [item.content for item in documents], [item.path for item in documents]
    )
    errors, warnings, notes = (
        sum(problem.severity == severity for problem in problems)
        for severity in ("error", "warning", "note")
    )
    if as_json:
        print(json.dumps([asdict(problem) for problem in problems], default=str))
    else:
        for problem in problems:
            print(f"{problem.severity}: {problem}")
        counted = f"{len(documents)} objects, {errors} errors, {warnings} warnings"
        print(f"{counted}, {notes} notes" if notes else counted)
    if errors:
        raise typer.Exit(1)
