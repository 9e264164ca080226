"""RouterBench as published (https://huggingface.co/datasets/withmartian/routerbench, arXiv
2403.12031), its pickled tables saved as CSV: `sample_id`, `prompt`, `eval_name`, and for each
model a column of its name with the score, "NAME|model_response" and "NAME|total_cost" in US
dollars.

Prompts and responses are Python lists in text, as ['...'].
"""

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from inferencegraph.evaluate.importing.files import csv_records
from inferencegraph.evaluate.importing.importer import RecordImporter
from inferencegraph.evaluate.importing.report import LeftOut, Place
from inferencegraph.evaluate.importing.rows import Row, amount, compared, known_fields, number, text

_COLUMNS: Final = ("sample_id", "prompt", "eval_name")
_TRUTHS: Final = {"true": 1.0, "false": 0.0}
_COST, _ANSWER = "|total_cost", "|model_response"


class RouterBench(RecordImporter):
    names = (".csv", ".csv.gz")

    def rows(self, paths: Sequence[Path]) -> Iterator[tuple[Place, Row]]:
        self.pair.require_both()
        return super().rows(paths)

    def records(self, path: Path) -> Iterator[tuple[Place, Any]]:
        return csv_records(path, _COLUMNS, self.report, self.reading.on_read)

    def row(self, record: Mapping[str, str], place: Place) -> Row:
        models = _models(record)
        if not models:
            raise LeftOut("no score", "no model has a number in its column")
        head = {"id": record["sample_id"], "query": "\n".join(_listed(record["prompt"]))}
        category = known_fields(category=text(record["eval_name"]))
        return head | category | compared(self.pair, models)


def _models(record: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Those with a score: columns beside which there is one of costs or answers."""
    models = {}
    for name, value in record.items():
        if name + _COST in record or name + _ANSWER in record:
            score = number(_TRUTHS.get(value.lower(), value))
            if score is not None:
                answer = "\n".join(_listed(record.get(name + _ANSWER, "")))
                cost = amount(record.get(name + _COST))
                models[name] = {"score": score} | known_fields(answer=text(answer), cost=cost)
    return models


def _listed(value: str) -> list[str]:
    """The texts of a Python list; the value itself where it is none."""
    if value.startswith("[") and value.endswith("]"):
        try:
            found = ast.literal_eval(value)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            return [value]
        if isinstance(found, list) and all(isinstance(item, str) for item in found):
            return found
    return [value]
