"""`hem batch`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from inferencegraph.commands.counts import counted
from inferencegraph.commands.options import (
    DEFAULT_URL,
    AsJson,
    MaxTokens,
    RepetitionPenalty,
    Seed,
    Temperature,
    TopP,
    chosen,
)
from predictors.errors import ConfigurationError

if TYPE_CHECKING:
    from inferencegraph.evaluate.batch import Counts, Outputs

FAILED = 1


def batch(
    questions: Annotated[
        Path,
        typer.Argument(
            help="JSONL rows {query}, a text with one question on each line, or a folder, each of "
            "whose files is one.",
            envvar="input_text",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Gets the folders all, hard-by-edge and hard-by-cloud."),
    ] = None,
    every: Annotated[
        Path | None,
        typer.Option(
            "--all",
            help="The folder of all answers.",
            envvar="all_examples_inference_output",
            show_default=False,
        ),
    ] = None,
    hard_by_edge: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the edge's answers to hard questions.",
            envvar="hard_example_edge_inference_output",
            show_default=False,
        ),
    ] = None,
    hard_by_cloud: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the cloud's answers to hard questions.",
            envvar="hard_example_cloud_inference_output",
            show_default=False,
        ),
    ] = None,
    url: Annotated[str, typer.Option(help="A running graph.")] = DEFAULT_URL,
    concurrency: Annotated[int, typer.Option(min=1, help="Questions at a time.")] = 8,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    top_p: TopP = None,
    repetition_penalty: RepetitionPenalty = None,
    seed: Seed = None,
    as_json: AsJson = False,
) -> None:
    """Asks many questions, and writes all answers, and both sides' answers to the hard ones.

    A folder's files become files of the same names, a file's lines rows of JSON. Nothing is
    overwritten; the same command goes on where it was stopped. Sedna's variables are read, too:
    input_text, all_examples_inference_output, hard_example_edge_inference_output,
    hard_example_cloud_inference_output.

    Example: `hem batch questions/ --out answers`
    """
    from inferencegraph.commands.running import run_until_signal
    from inferencegraph.evaluate.batch import Outputs
    from predictors.upstream.ask import check_url

    check_url(url, "--url", DEFAULT_URL)
    parameters = chosen(
        max_tokens=max_tokens,
        temperature=temperature,
        top_p=top_p,
        repetition_penalty=repetition_penalty,
        seed=seed,
    )
    outputs = Outputs(
        _folder(every, out, "all", "--all"),
        _folder(hard_by_edge, out, "hard-by-edge", "--hard-by-edge"),
        _folder(hard_by_cloud, out, "hard-by-cloud", "--hard-by-cloud"),
    )
    counts = run_until_signal(lambda: _run(questions, outputs, url, concurrency, parameters))
    if counts is None:
        raise typer.Abort
    _print(counts, outputs, as_json)
    if counts.failed:
        raise typer.Exit(FAILED)


def _folder(given: Path | None, out: Path | None, name: str, option: str) -> Path:
    if given is not None:
        return given
    if out is None:
        raise ConfigurationError(f"give --out, or {option} and the other two")
    return out / name


def _print(counts: "Counts", outputs: "Outputs", as_json: bool) -> None:
    if as_json:
        facts = {name: getattr(counts, name) for name in counts.__slots__}
        folders = {name: str(getattr(outputs, name)) for name in outputs.__slots__}
        print(json.dumps({**facts, **folders}))
        return
    print(f"{counted(counts.asked, 'answer')} in {outputs.all}, {counts.failed} failed")
    print(f"{counted(counts.hard, 'hard one')}: {outputs.hard_by_edge}, {outputs.hard_by_cloud}")


async def _run(
    questions: Path, outputs: "Outputs", url: str, concurrency: int, parameters: dict[str, Any]
) -> "Counts":
    from inferencegraph.commands.running import Progress
    from inferencegraph.evaluate.asking import Pace, asker
    from inferencegraph.evaluate.batch import ask_batch, read_inputs
    from predictors.upstream.redaction import shown_url

    inputs = read_inputs(questions)
    settings = {"questions": str(questions), "url": shown_url(url), "parameters": parameters}
    with Progress() as progress:

        def one_more(task: str) -> None:
            progress.begin(task, len(inputs))
            progress.one_more(task)

        async with asker(url, "graph", parameters) as ask:
            return await ask_batch(ask, inputs, outputs, Pace(concurrency), settings, one_more)
