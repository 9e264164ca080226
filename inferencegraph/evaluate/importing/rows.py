"""The one shape of rows that importers write, and how they are made; docs/importing.md explains it.

A row is what `hem label`, `hem train`, `hem calibrate`, `hem score` and `hem evaluate` read. What a
source does not tell is left out of the row, never invented.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from inferencegraph.evaluate.importing.report import LeftOut
from predictors.contract import CLOUD, EDGE
from predictors.contract.names import INT32
from predictors.errors import ConfigurationError, known
from transformers_hem.labels.question import SIDES, Side

Row: TypeAlias = dict[str, Any]

FIELDS: Final[Mapping[str, str]] = {
    "id": "of the source, or made of the file's name and the line; each row's own",
    "query": "what is mined: the last message of the user",
    "messages": "the whole conversation, where it is more than the query",
    "inputs": "instead of a query: the V2 tensors of one row",
    "reference": "the answer that is right: a text, a number or a list of those",
    "choices": "the options' texts, in the order of their letters",
    "scorer": "the scorer of `hem label` that fits the reference",
    "category": "subject, task or level, as the source names it",
    "edge_answer": "what the edge model said",
    "cloud_answer": "what the cloud model said",
    "edge_score": "how good the edge's answer is, by the source; higher is better",
    "cloud_score": "how good the cloud's answer is, by the source",
    "winner": "`edge`, `cloud` or `tie`, by the source",
    "edge_model": "its name in the source",
    "cloud_model": "its name in the source",
    "edge_prompt_tokens": "of the edge's call",
    "cloud_prompt_tokens": "of the cloud's call",
    "edge_completion_tokens": "of the edge's answer",
    "cloud_completion_tokens": "of the cloud's answer",
    "edge_time_to_first_token": "seconds",
    "cloud_time_to_first_token": "seconds",
    "edge_latency": "seconds of the edge's whole call",
    "cloud_latency": "seconds of the cloud's whole call",
    "edge_cost": "of the edge's call, in the source's currency",
    "cloud_cost": "of the cloud's call, in the source's currency",
    "truncated": "true where an answer of the row was cut off",
    "time": "when it was asked, Unix seconds",
    "scores": "by model, where no pair of models was named",
    "costs": "by model, where no pair of models was named",
}


@dataclass(frozen=True, slots=True)
class Pair:
    """The names, in the source, of the models that stand for the edge and for the cloud."""

    edge: str | None = None
    cloud: str | None = None

    def __post_init__(self) -> None:
        if self.edge is not None and self.edge == self.cloud:
            raise ConfigurationError(f"--edge and --cloud are the same model, {self.edge!r}")

    @property
    def named(self) -> bool:
        return self.edge is not None and self.cloud is not None

    def require_both(self) -> None:
        """Raises ConfigurationError where one is named and the other is not."""
        if (self.edge is None) != (self.cloud is None):
            raise ConfigurationError(
                "give both --edge and --cloud, two models' names of the source, or neither"
            )

    def side_of(self, names: Iterable[object]) -> Side:
        """Of a logged answer by a model with these names: the cloud's where no model is named at
        all. Raises LeftOut for another model than the named ones."""
        if self.edge is None and self.cloud is None:
            return CLOUD
        names = tuple(names)
        if self.edge in names:
            return EDGE
        if self.cloud in names:
            return CLOUD
        raise LeftOut("an answer of another model", f"{names[0] if names else None!r}")


def compared(pair: Pair, models: Mapping[str, Mapping[str, Any]]) -> Row:
    """Of a query that many models answered: the fields of the pair, or `scores` and `costs` of all
    where none is named. Each model has a `score` and what else is known, by the fields' names
    without their side. Raises LeftOut where a model of the pair is missing, or no score is there.
    """
    if not pair.named:
        scores = {name: model["score"] for name, model in models.items() if "score" in model}
        costs = {name: model["cost"] for name, model in models.items() if "cost" in model}
        return {"scores": scores} | ({"costs": costs} if costs else {})
    row: Row = {}
    for side, name in zip(SIDES, (pair.edge, pair.cloud), strict=True):
        assert name is not None
        if name not in models:
            raise LeftOut(
                "no answer of a model of the pair",
                f"no model {name!r}; {known(name, models, brief=len(models) > 20)}",
            )
        if "score" not in models[name]:
            raise LeftOut("no score", f"model {name!r}")
        row |= {f"{side}_{field}": value for field, value in models[name].items()}
        row[f"{side}_model"] = name
    return row


def known_fields(**fields: Any) -> Row:
    """Those that are not None."""
    return {name: value for name, value in fields.items() if value is not None}


def of_side(side: Side, **fields: Any) -> Row:
    """Those that are not None, under their names with the side."""
    return {f"{side}_{name}": value for name, value in fields.items() if value is not None}


def number(value: object) -> float | None:
    """A finite number, also one that is written as text; None for anything else."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool):
        return float(value)
    if not isinstance(value, int | float):
        return None
    try:
        result = float(value)
    except OverflowError:
        return None
    return result if math.isfinite(result) else None


def amount(value: object) -> float | None:
    """A finite number that is not negative: a cost, seconds."""
    result = number(value)
    return result if result is not None and result >= 0 else None


def count(value: object) -> int | None:
    """Of tokens: a whole number from 0, that fits into the contract's INT32."""
    result = value if type(value) is int else number(value)
    if result is None or not 0 <= result < INT32.stop or result != int(result):
        return None
    return int(result)


def text(value: object) -> str | None:
    """A text that is not blank; None for anything else."""
    return value if isinstance(value, str) and value.strip() else None
