"""A benchmark: the YAML that says which manifests to run, and the questions to ask.

Questions are JSON Lines {query, answer}, or {inputs, answer} with the V2 inputs of one row; the
answer to a classifier is the number of the class. Answers may be called and written as in the
questions of `hem label`.
"""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from inferencegraph.evaluate.outcome import Item
from inferencegraph.read.documents import parse
from predictors.embedded import TEST_QUESTIONS
from predictors.errors import ConfigurationError, first_fault
from predictors.jsonl import read_query, read_references, read_rows


class Benchmark(BaseModel):
    """Paths are relative to the benchmark's own file; without `data`, the shipped test set."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    manifests: list[Path] = Field(min_length=1)
    graph: str | None = None
    data: Path | None = None
    concurrency: int = Field(8, ge=1)


def read_benchmark(path: Path) -> Benchmark:
    """Raises ConfigurationError naming the file and the field."""
    documents = parse(path)
    try:
        benchmark = Benchmark.model_validate(documents[0] if len(documents) == 1 else documents)
    except ValidationError as error:
        field, message, _ = first_fault(error)
        fields = ", ".join(Benchmark.model_fields)
        raise ConfigurationError(
            f"{path}: {field or 'the file'}: {message}; fields: {fields}"
        ) from None
    folder = path.parent
    return benchmark.model_copy(
        update={
            "manifests": [folder / manifest for manifest in benchmark.manifests],
            "data": folder / benchmark.data if benchmark.data else None,
        }
    )


def read_questions(path: Path | None, limit: int | None) -> list[Item]:
    """The first `limit` of the file's, or of the shipped test set; None for all.

    Raises ConfigurationError naming the line.
    """
    source = path or TEST_QUESTIONS
    rows = islice(read_rows(source), limit)
    return [_item(row, f"{source}, line {number}") for number, row in rows]


def _item(row: Mapping[str, Any], where: str) -> Item:
    _, answers = read_references(row, where)
    if not answers:
        raise ConfigurationError(f"{where}: no 'answer', the text that is right")
    if "inputs" not in row:
        return Item.of_text(read_query(row, where), *answers)
    # Only the shape is checked; the model itself refuses what it does not take.
    inputs = row["inputs"]
    if not isinstance(inputs, list) or not inputs:
        raise ConfigurationError(f"{where}: inputs must be a list of V2 tensors")
    for tensor in inputs:
        for field in ("name", "datatype", "shape", "data"):
            if not isinstance(tensor, dict) or field not in tensor:
                raise ConfigurationError(f"{where}: an input has no {field}")
    return Item(inputs, answers)
