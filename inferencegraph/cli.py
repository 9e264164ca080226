"""The `hem` command. Heavy imports stay inside the commands: `hem --help` loads no engine."""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated, Final, NoReturn

import typer

from inferencegraph.commands.apply import apply
from inferencegraph.commands.ask import ask
from inferencegraph.commands.batch import batch
from inferencegraph.commands.bench import bench
from inferencegraph.commands.calibrate import calibrate
from inferencegraph.commands.chat import chat
from inferencegraph.commands.delete import delete
from inferencegraph.commands.estimate import estimate
from inferencegraph.commands.evaluate import evaluate
from inferencegraph.commands.feedback import feedback
from inferencegraph.commands.guard import guard
from inferencegraph.commands.import_ import import_
from inferencegraph.commands.init import init
from inferencegraph.commands.label import label
from inferencegraph.commands.leaderboard import leaderboard
from inferencegraph.commands.ledger import ledger
from inferencegraph.commands.options import Command
from inferencegraph.commands.render import render
from inferencegraph.commands.retrain import retrain
from inferencegraph.commands.router import router
from inferencegraph.commands.schema import schema
from inferencegraph.commands.score import score
from inferencegraph.commands.status import status
from inferencegraph.commands.train import train
from inferencegraph.commands.up import up
from inferencegraph.commands.validate import validate
from predictors import logs
from predictors.errors import HEMError

BAD_INPUT = 2
INTERRUPTED = 130

app = typer.Typer(
    name="hem",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback(invoke_without_command=True)
def hem(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    """Edge-cloud joint inference on KServe: run it, ask it, train its router, measure it."""
    if version:
        from importlib.metadata import version as of_package

        print(f"hem {of_package('kserve-hem')}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        print(context.get_help(), end="")


COMMANDS: Final = (
    *(init, up, ask, chat, batch, render, validate, schema, router),
    *(apply, status, delete),
    *(import_, estimate, label, train, score, calibrate, retrain, evaluate, leaderboard, bench),
)
for command in COMMANDS:
    app.command(command.__name__.rstrip("_"), cls=Command)(command)  # `import` is a word of Python
app.add_typer(guard, name="guard")
app.add_typer(ledger)
app.add_typer(feedback)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs `hem` on `arguments`, or on the command line's own.

    Bad input ends in one line on stderr and exit code 2, or the error's own, without a traceback.
    """
    _print_in_any_locale()
    if arguments is None:
        arguments = _utf8(sys.argv[1:])
    try:
        logs.install()
        code = app(arguments, prog_name="hem", standalone_mode=False)
    except HEMError as error:
        _fail(str(error), error.exit_code)
    except typer.Abort:
        _fail("stopped", INTERRUPTED)
    except Exception as error:
        usage = getattr(error, "format_message", None)  # typer's errors, of whichever version
        if usage is None:
            raise
        context = getattr(error, "ctx", None)
        command = context.command_path if context else "hem"
        _fail(f"{usage().rstrip('.')}; see {command} --help", BAD_INPUT)
    sys.exit(code if isinstance(code, int) else 0)


def _print_in_any_locale() -> None:
    """What the terminal's encoding lacks is printed as an escape, and ends nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _utf8(arguments: Sequence[str]) -> list[str]:
    """The words of the command line, in UTF-8 whatever the locale says."""
    try:
        return [os.fsencode(argument).decode() for argument in arguments]
    except UnicodeDecodeError as error:
        _fail(f"the command line is not UTF-8: {error.object!r}", BAD_INPUT)


def _fail(message: str, code: int) -> NoReturn:
    print(f"hem: error: {message}", file=sys.stderr)
    sys.exit(code)
