"""What one row of a V2 response says: a text, or the class that is likeliest."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from predictors.contract import (
    HEM_ROUTE,
    PROBABILITIES,
    SERVED_BY,
    parse_answers,
)


@dataclass(frozen=True, slots=True)
class Read:
    """`text` is the number of the class where the model classifies."""

    text: str
    route: str | None
    served_by: str | None


def read_answer(response: Mapping[str, Any]) -> Read:
    """Raises ValueError for what is no V2 response with text or probabilities."""
    parameters = response.get("parameters") or {}
    row = _probabilities(response)
    if row is not None:
        likeliest = max(range(len(row)), key=row.__getitem__)
        served_by = parameters.get(SERVED_BY) or response.get("model_name")
        return Read(str(likeliest), parameters.get(HEM_ROUTE), served_by)
    answer = parse_answers(response)[0]
    return Read(answer.text, parameters.get(HEM_ROUTE), answer.served_by)


def _probabilities(response: Mapping[str, Any]) -> list[float] | None:
    """Of the one row; None where the response has none."""
    outputs = response.get("outputs")
    for output in outputs if isinstance(outputs, list) else ():
        if isinstance(output, dict) and output.get("name") == PROBABILITIES:
            data = output.get("data")
            if not isinstance(data, list) or not data or not all(map(_is_number, data)):
                raise ValueError(f"no V2 response: {PROBABILITIES} is not a list of numbers")
            return data
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float)
