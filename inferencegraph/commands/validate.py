"""`hem validate`."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from inferencegraph.commands.options import AsJson, Manifests


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
    as_json: AsJson = False,
    sarif: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Also write SARIF, for code review tools.", show_default=False
        ),
    ] = None,
) -> None:
    """Checks manifests and one-click specs without a cluster; exit code 1 if there is an error.

    Example: `hem validate -f manifests/answer-generation/mining-then-inference --crds crds/`
    """
    from inferencegraph.check.definitions.checking import Definitions
    from inferencegraph.check.definitions.reading import read_definitions
    from inferencegraph.check.sarif import to_sarif
    from inferencegraph.check.validate import validate as check
    from inferencegraph.read.kustomize import load_documents
    from inferencegraph.spec.reading import expanded
    from predictors.errors import ConfigurationError

    definitions = Definitions([each for path in crds or () for each in read_definitions(path)])
    read = expanded([document for file in files for document in load_documents(file)])
    contents = [item.content for item in read.documents]
    problems = read.problems + check(contents, read.documents, definitions=definitions)
    errors, warnings, notes = (
        sum(problem.severity == severity for problem in problems)
        for severity in ("error", "warning", "note")
    )
    if sarif is not None:
        try:
            sarif.write_text(json.dumps(to_sarif(problems), indent=2), encoding="utf-8")
        except OSError as error:
            raise ConfigurationError(f"--sarif {sarif}: {error.strerror or error}") from error
    if as_json:
        print(json.dumps([asdict(problem) for problem in problems], default=str))
    else:
        for problem in problems:
            print(f"{problem.severity}: {problem} [{problem.rule}]")
        counted = f"{len(contents)} objects, {errors} errors, {warnings} warnings"
        print(f"{counted}, {notes} notes" if notes else counted)
    if errors:
        raise typer.Exit(1)
