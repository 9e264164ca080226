"""Options of `hem init`."""

from pathlib import Path
from typing import Annotated

import typer

MODEL = "a hub id, a path, a storage URI, or embedded:edge"

Out = Annotated[
    Path, typer.Option("-o", "--out", metavar="FILE", help="Where to write it; - is stdout.")
]
Name = Annotated[
    str | None, typer.Option(help="Of the site; its objects begin with it.", show_default=False)
]
Edge = Annotated[
    str | None,
    typer.Option(metavar="MODEL", help=f"At the edge: {MODEL}.", show_default=False),
]
Cloud = Annotated[
    str | None,
    typer.Option(
        metavar="MODEL_OR_URL",
        help="In the cloud: a model, or the URL of an OpenAI-compatible API.",
        show_default=False,
    ),
]
CloudModel = Annotated[
    str | None, typer.Option(metavar="NAME", help="The model at that URL.", show_default=False)
]
Node = Annotated[
    list[str] | None,
    typer.Option(help="An edge node, which gets a site; repeatable.", show_default=False),
]
EdgeEngine = Annotated[str | None, typer.Option(metavar="ENGINE", show_default=False)]
CloudEngine = Annotated[str | None, typer.Option(metavar="ENGINE", show_default=False)]
Algorithm = Annotated[
    str | None,
    typer.Option(help="{transformers_hem.algorithms:ALGORITHMS}", show_default=False),
]
Strategy = Annotated[
    str | None,
    typer.Option(
        help="How both models answer together: {transformers_hem.strategies:STRATEGIES}.",
        show_default=False,
    ),
]
Router = Annotated[
    str | None, typer.Option(metavar="ROUTER", help="A trained one.", show_default=False)
]
Threshold = Annotated[float | None, typer.Option(min=0, max=1, show_default=False)]
Source = Annotated[
    Path | None,
    typer.Option(
        "--from",
        metavar="FILE",
        help="Sedna's JointInferenceService with its Models, or Ianvs's test algorithm, which "
        "the spec says instead; what becomes of each field is printed.",
        show_default=False,
    ),
]
EdgeOnly = Annotated[bool, typer.Option("--edge-only", help="No cloud.")]
CloudOnly = Annotated[bool, typer.Option("--cloud-only", help="No edge.")]
Force = Annotated[bool, typer.Option("--force", help="Replace a file that is there.")]
