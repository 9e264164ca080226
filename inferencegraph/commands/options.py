"""Options that several commands have, and names of tables in their help."""

import importlib
import math
import re
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand

DEFAULT_PORT: Final = 8080  # of the first graph of `hem up`
DEFAULT_URL: Final = f"http://127.0.0.1:{DEFAULT_PORT}"

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Manifests = Annotated[
    list[Path],
    typer.Option(
        "-f",
        "--filename",
        metavar="PATH",
        help="Manifests or a one-click spec: a file, a folder, a kustomization, or -; repeatable.",
        show_default=False,
    ),
]
Namespace = Annotated[
    str | None,
    typer.Option("-n", "--namespace", help="Default: the kubeconfig's.", show_default=False),
]
Context = Annotated[
    str | None,
    typer.Option(help="Of the kubeconfig. Default: its current one.", show_default=False),
]
Kubeconfig = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Default: $KUBECONFIG, or ~/.kube/config.", show_default=False
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait until it is done.")]
Timeout = Annotated[float, typer.Option(min=0, help="Seconds that --wait waits at most.")]
HealthTimeout = Annotated[
    float,
    typer.Option(
        min=0,
        metavar="SECONDS",
        help="A service whose answer is overdue, and that doesn't tell its health in so long, is "
        "given up; 0: the graph waits, as KServe's router does.",
    ),
]
MaxTokens = Annotated[int | None, typer.Option(min=1, show_default=False)]
Temperature = Annotated[float | None, typer.Option(min=0, help="0 is greedy.", show_default=False)]
TopP = Annotated[float | None, typer.Option(show_default=False)]
RepetitionPenalty = Annotated[float | None, typer.Option(show_default=False)]
Seed = Annotated[int | None, typer.Option(show_default=False)]

_TABLE: Final = re.compile(r"\{([\w.]+):(\w+)\}")


class Command(TyperCommand):
    """A command that refuses NaN, which is within the bounds of every option's `min` and `max`, and
    whose help may name a table, as `{package.module:TABLE}`. An option's value has the
    option's name there.

    The table's names stand there when the command's own help is printed; its package is not
    imported for `hem --help`.
    """

    def invoke(self, ctx: Any) -> Any:
        for name, value in ctx.params.items():
            if isinstance(value, float) and math.isnan(value):
                option = f"'--{name.replace('_', '-')}'"
                raise typer.BadParameter("nan is not a number", ctx=ctx, param_hint=option)
        return super().invoke(ctx)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        for parameter in self.params:
            text = getattr(parameter, "help", None)
            if text:
                parameter.help = _TABLE.sub(_names, text)  # type: ignore[attr-defined]
            valued = not getattr(parameter, "is_flag", True) and not hasattr(
                parameter.type, "choices"
            )
            if valued and parameter.metavar is None and parameter.name:
                parameter.metavar = parameter.name.upper()
        super().format_help(ctx, formatter)


def _names(match: re.Match[str]) -> str:
    table = getattr(importlib.import_module(match[1]), match[2])
    return ", ".join(table.names())


def chosen(**parameters: Any) -> dict[str, Any]:
    """Parameters of a request: the options that were set, by the contract's names."""
    return {name: value for name, value in parameters.items() if value is not None}
