"""Accuracy of an embedded pair, or of other directories, by family and difficulty."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table

from predictors.embedded import MODELS, PAIRS, PREFIX, directory
from predictors.embedded.workshop.answering import DirectModel
from predictors.embedded.workshop.questions import (
    SETS,
    Question,
    held_out_questions,
    is_right,
    test_questions,
)

Kind = tuple[str, int]
Accuracy = dict[Kind, float]  # right answers / questions, by family and difficulty


def accuracy(model: DirectModel, questions: Sequence[Question]) -> Accuracy:
    """Share of right answers per kind, 0 to 1. Difficulty 0 is of all difficulties, the kind
    ("all", 0) of all questions."""
    asked: Counter[Kind] = Counter()
    right: Counter[Kind] = Counter()
    replies = model.ask([question.query for question in questions])
    for question, reply in zip(questions, replies, strict=True):
        for kind in ((question.family, question.difficulty), (question.family, 0), ("all", 0)):
            asked[kind] += 1
            right[kind] += is_right(reply.text, question)
    return {kind: right[kind] / number for kind, number in asked.items()}


def main(
    model: Annotated[
        list[str] | None,
        typer.Option(help="embedded:edge and the like, or a directory; may be repeated"),
    ] = None,
    pair: Annotated[
        Literal["short", "long"], typer.Option(help="whose questions, and whose models by default")
    ] = "short",
    count: Annotated[
        int | None, typer.Option(min=1, help="fresh held-out questions, not the shipped set")
    ] = None,
    seed: Annotated[int, typer.Option(help="of the fresh questions")] = 1,
) -> None:
    """Asks the models the shipped test questions and prints how many percent each answers right.

    Example: python -m predictors.embedded.workshop.evaluate --model trained/edge --count 3000
    """
    names = model or [PREFIX + name for name in PAIRS[pair]]
    places = [model_directory(name) for name in names]
    asked = SETS[pair]
    questions = held_out_questions(count, seed, asked) if count else test_questions(asked)
    table = Table("family", "difficulty", *names, title=f"{len(questions)} questions")
    results = [accuracy(DirectModel(place, asked.longest_answer), questions) for place in places]
    for family, difficulty in sorted(results[0]):
        shares = (f"{100 * result[family, difficulty]:.1f}" for result in results)
        table.add_row(family, str(difficulty or "any"), *shares)
    Console().print(table)


def model_directory(name: str) -> Path:
    """A shipped model's directory, or the one that `name` is. Raises typer.BadParameter."""
    place = directory(name) if name.removeprefix(PREFIX) in MODELS else Path(name)
    if not (place / "config.json").is_file():
        raise typer.BadParameter(f"{name!r} has no config.json", param_hint="--model")
    return place


if __name__ == "__main__":
    typer.run(main)
