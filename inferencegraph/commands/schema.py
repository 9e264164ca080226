"""`hem schema`."""

import json
from typing import Annotated

import typer


def schema(
    crd: Annotated[
        bool, typer.Option("--crd", help="The CustomResourceDefinition, as YAML.")
    ] = False,
) -> None:
    """Prints the JSON Schema of the one-click spec, for editors.

    Example: `hem schema > spec.schema.json`; then put this line first into the spec:
    `# yaml-language-server: $schema=spec.schema.json`
    """
    from inferencegraph.spec import schema as schemas

    if crd:
        import yaml

        print(yaml.safe_dump(schemas.crd(), sort_keys=False), end="")
    else:
        print(json.dumps(schemas.json_schema(), indent=2))
