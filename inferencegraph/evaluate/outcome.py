"""A question, what one V2 response answers to it, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from predictors.contract import (
    HEM_ROUTE,
    PROBABILITIES,
    SERVED_BY,
    Scalar,
    is_number,
    parse_answers,
    text_request,
)


@dataclass(frozen=True, slots=True)
class Item:
    """The V2 inputs of one row, and the answers that are right: texts, or a class's number."""

    inputs: Sequence[Mapping[str, Any]]
    answers: tuple[str, ...]

    @classmethod
    def of_text(cls, query: str, *answers: str) -> "Item":
        return cls(text_request([query])["inputs"], answers)

    def request(self, parameters: Mapping[str, Scalar]) -> dict[str, Any]:
        return {"inputs": list(self.inputs), "parameters": dict(parameters)}


@dataclass(frozen=True, slots=True)
class Outcome:
    """`seconds` as the client saw it. A question that got no answer, or the edge's in place of the
    cloud's, has an `error` and no `text`; it stays in every count, as a wrong answer."""

    item: Item
    seconds: float
    text: str | None = None
    route: str | None = None
    served_by: str | None = None
    error: str | None = None

    @property
    def right(self) -> bool:
        """Exact match of one of the answers, apart from blanks around it."""
        rights = (answer.strip() for answer in self.item.answers)
        return self.text is not None and self.text.strip() in rights

    def degraded(self, failure: str = "") -> "Outcome":
        """The same question as one that the cloud failed to answer; `failure` says why."""
        return replace(self, text=None, error=f"degraded: {cloud_failed(failure)}")


def cloud_failed(failure: str = "") -> str:
    """What people are told of a degraded answer; `failure` is a status or a cause in one word."""
    return f"the cloud failed ({failure})" if failure else "the cloud failed"


Run: TypeAlias = Sequence[Outcome]


def read_answer(response: Mapping[str, Any]) -> tuple[str, str | None, str | None]:
    """Answer, route and served_by of one row; the answer of a model that classifies is the number
    of the likeliest class. Raises ValueError for what is not a V2 response with text or
    probabilities."""
    parameters = response.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ValueError("no V2 response: its parameters are not an object")
    route = parameters.get(HEM_ROUTE)
    row = _probabilities(response)
    if row is not None:
        likeliest = max(range(len(row)), key=row.__getitem__)
        served_by = parameters.get(SERVED_BY) or response.get("model_name")
        return str(likeliest), route, served_by
    answers = parse_answers(response)
    if not answers:
        raise ValueError("no V2 response: it has no rows")
    return answers[0].text, route, answers[0].served_by


def _probabilities(response: Mapping[str, Any]) -> list[float] | None:
    """Those of the one row; None where the response has no such output."""
    outputs = response.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict) and output.get("name") == PROBABILITIES:
            data = output.get("data")
            if not isinstance(data, list) or not data or not all(map(is_number, data)):
                raise ValueError(f"no V2 response: {PROBABILITIES} is not a list of numbers")
            return data
    return None
