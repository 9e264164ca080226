"""An answer with its telemetry: reads them out of V2 JSON responses, and checks the numbers."""

import base64
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from predictors.contract.names import (
    CACHED,
    FP32_MAX,
    INT32,
    SERVED_BY,
    SPECULATION,
    SPECULATION_REASON,
    SPECULATION_TELEMETRY,
    TELEMETRY,
    TEXT_OUTPUT,
)


@dataclass(frozen=True, slots=True)
class Speculation:
    """How one answer came about where a small model drafts for a large one elsewhere. `route` is
    `speculative`, `cloud` (the large one alone) or `edge` (the small one alone, or from where the
    link broke on), `reason` why it is not `speculative`, in a few words; `continues` is `cloud`
    where the small one goes on with what the large one began. `accepted_tokens` are those of the
    drafted ones that are in the answer; `link_seconds` the time that rounds were under way, less
    the verify side's computing."""

    route: str
    reason: str = ""
    continues: str = ""
    draft_rounds: int = 0
    drafted_tokens: int = 0
    accepted_tokens: int = 0
    cloud_passes: int = 0
    link_bytes_sent: int = 0
    link_bytes_received: int = 0
    link_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """One row of a response; telemetry that the engine can't give is None, never invented.

    time_to_first_token and inter_token_latency are seconds; logprobs are nats of the generated
    tokens; mean_margin is the mean of p(top1) - p(top2). `served_by` None means this model.
    `cached_tokens` are those of the prompt that another server kept from an earlier call; V2 has
    no tensor for them.
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
    cached_tokens: int | None = None
    speculation: Speculation | None = None


def parse_answers(response: Any) -> list[Answer]:
    """The answers in a V2 JSON response, flat or nested, whatever the shape that it names.

    Telemetry never fails an answer: what is null, or not what the contract has, is left out. Raises
    ValueError that says what else breaks the contract.
    """
    outputs = _outputs(response)
    texts = _texts(outputs.get(TEXT_OUTPUT, {}))
    telemetry = {
        name: _telemetry(name, outputs[name].get("data"), len(texts))
        for name in TELEMETRY
        if name in outputs
    }
    parameters = response.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise ValueError("no V2 response: its parameters are not an object")
    served_by = parameters.get(SERVED_BY) or response.get("model_name")
    shared: dict[str, Any] = {
        "served_by": served_by if isinstance(served_by, str) else None,
        "cached": parameters.get(CACHED) is True,
    }
    speculations = _speculations(outputs, parameters, len(texts))
    return [
        Answer(
            text,
            **{name: column[i] for name, column in telemetry.items()},
            **shared,
            speculation=speculations[i],
        )
        for i, text in enumerate(texts)
    ]


def _speculations(
    outputs: Mapping[str, Any], parameters: Mapping[str, Any], rows: int
) -> list[Speculation | None]:
    """Of each row; None where a response says nothing of it."""
    route, reason = parameters.get(SPECULATION), parameters.get(SPECULATION_REASON)
    if not isinstance(route, str):
        return [None] * rows
    columns = {
        name: column
        for name in SPECULATION_TELEMETRY
        if (column := _flat(outputs.get(name, {}).get("data"))) is not None
        and len(column) == rows
        and all(map(is_number, column))
    }
    about = reason if isinstance(reason, str) else ""
    return [
        Speculation(route, about, **{name: column[i] for name, column in columns.items()})
        for i in range(rows)
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


def _texts(output: Mapping[str, Any]) -> list[str]:
    """Raises ValueError, also for half a surrogate pair and for what is not base64 though it says
    so: MLServer's BYTES may be."""
    texts: Any = output.get("data")
    if not _are_texts(texts):
        texts = _flat(texts)
        if not _are_texts(texts):
            raise ValueError(f"no V2 response: its {TEXT_OUTPUT} is not a list of strings")
    "".join(texts).encode()
    parameters = output.get("parameters")
    if isinstance(parameters, dict) and parameters.get("content_type") == "base64":
        return [base64.b64decode(text, validate=True).decode() for text in texts]
    return list(texts)


def _are_texts(data: Any) -> bool:
    return isinstance(data, list) and all(isinstance(text, str) for text in data)


def _flat(data: Any) -> list[Any] | None:
    """Row by row; None for what is no list."""
    if not isinstance(data, list):
        return None
    rows: list[Any] = data
    while any(isinstance(item, list) for item in rows):
        rows = [each for item in rows for each in (item if isinstance(item, list) else [item])]
    return rows


def _telemetry(name: str, data: Any, rows: int) -> list[Any]:
    if isinstance(data, list) and len(data) == rows and all(is_telemetry(name, x) for x in data):
        return data
    column = _flat(data)
    if column is None or len(column) != rows:
        return [None] * rows
    numbers = [_number(value, TELEMETRY[name]) for value in column]
    return [number if is_telemetry(name, number) else None for number in numbers]


def _number(value: Any, datatype: str) -> Any:
    """Servers have other datatypes for the same numbers, and JSON made of protobuf has INT64 as
    text. Integers stay exact."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    whole = datatype == "INT32" and isinstance(value, float) and value.is_integer()
    return int(value) if whole else value


def _outputs(response: Any) -> dict[str, dict[str, Any]]:
    """By their names."""
    if isinstance(response, dict) and response.get("error"):
        raise ValueError(f"no V2 response, but an error: {response['error']}")
    if not isinstance(response, dict) or not isinstance(response.get("outputs"), list):
        raise ValueError("no V2 response: it has no outputs")
    outputs = {}
    for output in response["outputs"]:
        if not isinstance(output, dict) or not isinstance(output.get("name"), str):
            raise ValueError("no V2 response: an output has no name")
        outputs[output["name"]] = output
    return outputs
