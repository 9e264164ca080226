"""Accuracy of the embedded pair, or of other directories, by family and difficulty."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from predictors.embedded import MODELS, PREFIX, directory
from predictors.embedded.workshop.answering import DirectModel
from predictors.embedded.workshop.questions import (
    Question,
    held_out_questions,
    is_right,
    test_questions,
)
from predictors.errors import ConfigurationError

Kind = tuple[str, int]
Accuracy = dict[Kind, float]  # right answers / questions, by family and difficulty


def accuracy(model: DirectModel, questions: Sequence[Question]) -> Accuracy:
    """Share of right answers per kind, 0 to 1; the kind ("all", 0) is over all questions."""
    asked: Counter[Kind] = Counter()
    right: Counter[Kind] = Counter()
    replies = model.ask([question.query for question in questions])
    for question, reply in zip(questions, replies, strict=True):
        for kind in ((question.family, question.difficulty), (question.family, 0), ("all", 0)):
            asked[kind] += 1
            right[kind] += is_right(reply.text, question)
    return {kind: right[kind] / number for kind, number in asked.items()}


def table(results: dict[str, Accuracy], questions: int) -> Table:
    """One row per kind, one column per model, in percent."""
    made = Table(title=f"right answers of {questions} questions, %")
    made.add_column("family")
    made.add_column("difficulty")
    for name in results:
        made.add_column(name, justify="right")
    last = ""
    for kind in sorted(next(iter(results.values())), key=lambda k: (k[0] == "all", k[0], not k[1])):
        if last not in ("", kind[0]):
            made.add_section()
        last = kind[0]
        shares = (f"{100 * result[kind]:.1f}" for result in results.values())
        made.add_row(kind[0], str(kind[1]) if kind[1] else "any", *shares)
    return made


def locate(name: str) -> Path:
    """A shipped model's directory, or the directory of that name."""
    if name.startswith(PREFIX):
        return directory(name)
    if not (Path(name) / "config.json").is_file():
        raise ConfigurationError(f"{name!r} is no model directory: it has no config.json")
    return Path(name)


def main(
    model: Annotated[
        list[str] | None, typer.Option(help="embedded:edge, or a directory; may be repeated")
    ] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="fresh held-out questions, not the shipped set")
    ] = None,
    seed: Annotated[int, typer.Option(help="of the fresh questions")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="for programs")] = False,
) -> None:
    """Asks the models the shipped test questions and prints how many each answers right.

    Example: python -m predictors.embedded.workshop.evaluate --model trained/edge --count 3000
    """
    questions = held_out_questions(count, seed) if count else test_questions()
    names = model or [PREFIX + name for name in MODELS]
    try:
        places = {name: locate(name) for name in names}
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="--model") from error
    with Console(stderr=True).status("asking"):
        results = {name: accuracy(DirectModel(place), questions) for name, place in places.items()}
    if as_json:
        flat = {
            name: {f"{family}/{level or 'any'}": share for (family, level), share in found.items()}
            for name, found in results.items()
        }
        typer.echo(json.dumps(flat))
    else:
        Console().print(table(results, len(questions)))


if __name__ == "__main__":
    typer.run(main)
