"""The labels: rows that `hem train` and `hem calibrate` read, and what they say in sum."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from predictors.jsonl import write_lines

from predictors.contract import Answer
from transformers_hem.labels.journal import Journal
from transformers_hem.labels.labels import is_hard
from transformers_hem.labels.question import SIDES, Question, Side
from transformers_hem.labels.scorers.base import Pair

_TELEMETRY: Final = (
    "mean_logprob",
    "min_logprob",
    "mean_margin",
    "prompt_tokens",
    "completion_tokens",
)


@dataclass(frozen=True, slots=True)
class Summary:
    """`edge` and `cloud` are mean scores; None where no row is labelled. `missing` rows are not."""

    rows: int
    missing: int
    edge: float | None
    cloud: float | None
    hard_share: float | None


def write_labels(
    out: Path, questions: Sequence[Question], journal: Journal, graded: bool, epsilon: float
) -> Summary:
    """One row per question that has scores, in their order; the others are left out.

    `hard` is the rule of `labels.is_hard`.
    """
    labelled = [question for question in questions if question.id in journal.scores]
    pairs = [journal.scores[question.id] for question in labelled]
    hard = [is_hard(pair.edge, pair.cloud, epsilon) for pair in pairs]
    rows = [
        _row(question, journal, pair, graded) | {"hard": is_hard}
        for question, pair, is_hard in zip(labelled, pairs, hard, strict=True)
    ]
    write_lines(out, (orjson.dumps(row) + b"\n" for row in rows))
    count = len(rows)
    if not count:
        return Summary(0, len(questions), None, None, None)
    edge = sum(pair.edge for pair in pairs) / count
    cloud = sum(pair.cloud for pair in pairs) / count
    return Summary(count, len(questions) - count, edge, cloud, sum(hard) / count)


def _row(question: Question, journal: Journal, pair: Pair, graded: bool) -> dict[str, Any]:
    answers: dict[Side, Answer] = {**journal.answers.get(question.id, {}), **question.answers}
    row: dict[str, Any] = {"id": question.id, "query": question.query}
    if question.reference is not None:
        row["reference"] = question.reference
    row |= {f"{side}_answer": answers[side].text for side in SIDES}
    if graded:
        row |= {f"{side}_score": getattr(pair, side) for side in SIDES}
    else:
        row |= {f"{side}_correct": bool(getattr(pair, side)) for side in SIDES}
    for side in SIDES:
        for name in _TELEMETRY:
            if (value := getattr(answers[side], name)) is not None:
                row[f"{side}_{name}"] = value
    return row
