"""What both of a pair make of training-side questions: the data that routers are trained on."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console

from predictors.embedded import PAIRS, directory
from predictors.embedded.workshop.answering import DirectModel
from predictors.embedded.workshop.questions import (
    SETS,
    SHORT,
    Question,
    QuestionSet,
    is_right,
    train_questions,
)
from predictors.jsonl import write_lines

_DATA = Path(__file__).parents[1] / "data"
LABELS_FILE = _DATA / "labels.jsonl.gz"
LONG_LABELS_FILE = _DATA / "long_labels.jsonl.gz"
FRESH_SEED = 7_000_003  # far from the seeds of the training batches


def fresh_questions(count: int, seed: int, of: QuestionSet = SHORT) -> list[Question]:
    """Different questions of the training side of the split."""
    drawn: dict[str, Question] = {}
    for question in train_questions(4 * count, seed, of=of):
        drawn.setdefault(question.query, question)
    return list(drawn.values())[:count]


def label(
    questions: list[Question],
    edge: Path,
    cloud: Path,
    longest_answer: int = SHORT.longest_answer,
) -> list[dict[str, Any]]:
    """One row per question; log-probabilities are the edge model's, in nats."""
    queries = [question.query for question in questions]
    edge_replies = DirectModel(edge, longest_answer).ask(queries)
    cloud_replies = DirectModel(cloud, longest_answer).ask(queries)
    return [
        {
            "id": question.id,
            "family": question.family,
            "difficulty": question.difficulty,
            "query": question.query,
            "edge_correct": int(is_right(small.text, question)),
            "cloud_correct": int(is_right(large.text, question)),
            "edge_mean_logprob": round(small.mean_logprob, 5),
            "edge_min_logprob": round(small.min_logprob, 5),
        }
        for question, small, large in zip(questions, edge_replies, cloud_replies, strict=True)
    ]


def main(
    pair: Annotated[Literal["short", "long"], typer.Option(help="which pair is asked")] = "short",
    out: Annotated[
        Path | None, typer.Option(help="a .jsonl.gz file (default: the pair's shipped one)")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="questions to ask")] = 9000,
    seed: Annotated[int, typer.Option(help="of the questions")] = FRESH_SEED,
) -> None:
    """Asks both shipped models fresh questions of the training side and writes who was right.

    Example: python -m predictors.embedded.workshop.labels --out labels.jsonl.gz --count 3000
    """
    console = Console(stderr=True)
    place = out or {"short": LABELS_FILE, "long": LONG_LABELS_FILE}[pair]
    asked, (edge, cloud) = SETS[pair], map(directory, PAIRS[pair])
    with console.status(f"asking both models {count} questions"):
        questions = fresh_questions(count, seed, asked)
        rows = label(questions, edge, cloud, asked.longest_answer)
    write_lines(place, (f"{json.dumps(row)}\n".encode() for row in rows))
    right = {name: sum(row[f"{name}_correct"] for row in rows) for name in ("edge", "cloud")}
    console.print(f"{place}: {len(rows)} rows, right: {right}")


if __name__ == "__main__":
    typer.run(main)
