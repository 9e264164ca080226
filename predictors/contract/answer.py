"""An answer with its telemetry: reads them out of V2 JSON responses, and checks the numbers."""

import sys
from dataclasses import dataclass
from typing import Any

from predictors.contract.names import CACHED, FP32_MAX, INT32, SERVED_BY, TELEMETRY, TEXT_OUTPUT


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of a response; telemetry that the engine can't give is None, never invented.

    time_to_first_token and inter_token_latency are seconds; logprobs are nats of the generated
    tokens; mean_margin is the mean of p(top1) - p(top2). `served_by` None means this model.
    """

    text: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    time_to_first_token: float | None = None
    inter_token_latency: float | None = None
    mean_logprob: float | None = None
    min_logprob: float | None = None
    mean_margin: float | None = None
    served_by: str | None = None
    cached: bool = False


def parse_answers(response: Any) -> list[Answer]:
    """The answers in a V2 JSON response. Raises ValueError that says how it breaks the contract."""
    columns = _columns(response)
    texts = columns.get(TEXT_OUTPUT)
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"no V2 response: its {TEXT_OUTPUT} is not a list of strings")
    telemetry = {name: columns[name] for name in TELEMETRY if name in columns}
    for name, column in telemetry.items():
        if not isinstance(column, list) or len(column) != len(texts):
            raise ValueError(f"no V2 response: {name} and {TEXT_OUTPUT} differ in length")
        if not all(is_telemetry(name, value) for value in column):
            raise ValueError(f"no V2 response: {name} is not made of {TELEMETRY[name]} numbers")
    parameters = response.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ValueError("no V2 response: its parameters are not an object")
    served_by = parameters.get(SERVED_BY) or response.get("model_name")
    shared: dict[str, Any] = {
        "served_by": served_by if isinstance(served_by, str) else None,
        "cached": parameters.get(CACHED) is True,
    }
    return [
        Answer(text, **{name: column[i] for name, column in telemetry.items()}, **shared)
        for i, text in enumerate(texts)
    ]


def is_number(value: object) -> bool:
    """Whether `value` is a finite number that fits into a float; True and False are not numbers."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return abs(value) <= sys.float_info.max


def is_telemetry(name: str, value: Any) -> bool:
    """Whether the telemetry tensor of that name can hold `value`: a count of tokens, which is 0 or
    more and fits into 32 bits, or a finite FP32."""
    if TELEMETRY[name] == "INT32":
        return type(value) is int and 0 <= value < INT32.stop
    return is_number(value) and abs(value) <= FP32_MAX


def _columns(response: Any) -> dict[str, Any]:
    """The data of each output, by its name."""
    if not isinstance(response, dict) or not isinstance(response.get("outputs"), list):
        raise ValueError("no V2 response: it has no outputs")
    columns = {}
    for output in response["outputs"]:
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            raise ValueError("no V2 response: an output has no name")
        columns[output["name"]] = output.get("data")
    return columns
