"""What the first tokens of an edge answer tell of its errors, and how often both models of a pair
write the same token: what a cascade in the stream, and a speculation, have to work on."""

from collections.abc import Callable, Sequence
from statistics import fmean
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from predictors.embedded import PAIRS, PREFIX
from predictors.embedded.workshop.answering import DirectModel, Reply
from predictors.embedded.workshop.evaluate import model_directory
from predictors.embedded.workshop.questions import (
    SETS,
    Question,
    held_out_questions,
    is_right,
    test_questions,
)

LENGTHS = (8, 16, 32, None)  # tokens; None: the whole answer
SIGNALS: dict[str, Callable[[Sequence[float]], float]] = {"mean": fmean, "min": min}


def error_auc(
    replies: Sequence[Reply], right: Sequence[bool], length: int | None, signal: str
) -> float:
    """Area under the ROC curve of "the answer will be wrong", by how low the signal is over the
    log-probabilities of the first `length` tokens. 0.5 tells nothing, 1 all."""
    seen = [SIGNALS[signal](reply.logprobs[:length]) for reply in replies]
    return float(roc_auc_score(right, seen))


def agreement(edge: DirectModel, queries: Sequence[str], replies: Sequence[Reply]) -> float:
    """Share of the cloud's greedy tokens that the edge would write too, given those before."""
    same = [
        mine == token
        for query, reply in zip(queries, replies, strict=True)
        for mine, token in zip(edge.next_tokens(query, reply.tokens), reply.tokens, strict=True)
    ]
    return fmean(same)


def main(
    pair: Annotated[
        Literal["short", "long"], typer.Option(help="whose questions, and whose models by default")
    ] = "long",
    edge: Annotated[str | None, typer.Option(help="a shipped model or a directory")] = None,
    cloud: Annotated[str | None, typer.Option(help="a shipped model or a directory")] = None,
    count: Annotated[
        int | None, typer.Option(min=1, help="fresh held-out questions, not the shipped set")
    ] = None,
    seed: Annotated[int, typer.Option(help="of the fresh questions")] = 1,
) -> None:
    """Prints how well the edge's first tokens tell its wrong answers, and the pair's agreement.

    Example: python -m predictors.embedded.workshop.prefixes --count 2000
    """
    asked = SETS[pair]
    questions = held_out_questions(count, seed, asked) if count else test_questions(asked)
    queries = [question.query for question in questions]
    names = (edge or PREFIX + PAIRS[pair][0], cloud or PREFIX + PAIRS[pair][1])
    small, large = (DirectModel(model_directory(name), asked.longest_answer) for name in names)
    small_replies, large_replies = small.ask(queries), large.ask(queries)
    console = Console()
    console.print(_auc_table(questions, small_replies))
    for name, replies in zip(names, (small_replies, large_replies), strict=True):
        lengths = sorted(len(reply.tokens) for reply in replies)
        console.print(
            f"{name}: {fmean(lengths):.0f} tokens an answer, "
            f"{lengths[0]} to {lengths[-1]}, with the end token"
        )
    share = agreement(small, queries, large_replies)
    console.print(f"{100 * share:.1f}% of {names[1]}'s greedy tokens are {names[0]}'s too")


def _auc_table(questions: Sequence[Question], replies: Sequence[Reply]) -> Table:
    right = [
        is_right(reply.text, question) for question, reply in zip(questions, replies, strict=True)
    ]
    table = Table("signal", title=f"AUC of the edge's errors, {len(questions)} questions")
    for length in LENGTHS:
        table.add_column(f"first {length}" if length else "all")
    for signal in SIGNALS:
        figures = (error_auc(replies, right, length, signal) for length in LENGTHS)
        table.add_row(f"{signal} log-probability", *(f"{figure:.3f}" for figure in figures))
    return table


if __name__ == "__main__":
    typer.run(main)
