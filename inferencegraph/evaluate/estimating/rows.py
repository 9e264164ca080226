"""Labelled rows of an estimate, as files that `hem train` and `hem calibrate` read."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from inferencegraph.evaluate.estimating.labelling import Labelled
from predictors.contract import TELEMETRY
from predictors.jsonl import write_lines
from transformers_hem.labels.scorers.base import Scorer


def write_rows(out: Path, labelled: Sequence[Labelled], scorer: Scorer) -> None:
    """As `hem label` writes them, with `edge_latency`, and with `failed` where one did."""
    write_lines(out, (orjson.dumps(_row(each, scorer)) + b"\n" for each in labelled))


def _row(each: Labelled, scorer: Scorer) -> dict[str, Any]:
    question, kind = each.row.question, "score" if scorer.graded else "correct"
    row: dict[str, Any] = {"id": question.id, "query": question.query}
    if question.reference is not None:
        row["reference"] = question.reference
    row["cloud_answer"] = each.row.cloud_answer
    if each.answer is not None:
        row["edge_answer"] = each.answer.text
        told = {name: getattr(each.answer, name) for name in TELEMETRY}
        row |= {f"edge_{name}": value for name, value in told.items() if value is not None}
    edge, cloud = each.pair if scorer.graded else map(bool, each.pair)
    row |= {f"edge_{kind}": edge, f"cloud_{kind}": cloud}
    if each.seconds is not None:
        row["edge_latency"] = each.seconds
    return row | ({"failed": each.failure} if each.failure else {})
