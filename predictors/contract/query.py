"""A query and how to generate its answer: reading them out of a V2 request, and writing one."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from predictors.contract.names import (
    CLOUD,
    EDGE,
    HEM_PREFER,
    HEM_PREFIX,
    MAX_TOKENS,
    REPETITION_PENALTY,
    SEED,
    STOP,
    TEMPERATURE,
    TEXT_INPUT,
    TOP_P,
    Scalar,
)
from predictors.errors import InvalidRequest

MAX_MAX_TOKENS: Final = 1_000_000
MAX_STOP_STRINGS: Final = 16


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to generate. Defaults are the contract's, the same for every engine.

    temperature 0 is greedy; `stop` strings end the answer and are not part of it.
    """

    max_tokens: int = 512
    temperature: float = 0.8
    top_p: float = 0.8
    repetition_penalty: float = 1.05
    stop: tuple[str, ...] = ()
    seed: int | None = None

    @property
    def greedy(self) -> bool:
        return self.temperature == 0.0


@dataclass(frozen=True, slots=True)
class Query:
    """One row of a request."""

    text: str
    sampling: Sampling = Sampling()


def parse_texts(shape: Sequence[int], datatype: str, data: Any) -> list[str]:
    """The N queries of a `text_input` tensor: BYTES, [N] or [N, 1], str or UTF-8 bytes."""
    if datatype != "BYTES":
        raise InvalidRequest(f"{TEXT_INPUT} must have datatype BYTES, not {datatype!r}")
    if len(shape) not in (1, 2) or (len(shape) == 2 and shape[1] != 1):
        raise InvalidRequest(f"{TEXT_INPUT} must have shape [N] or [N, 1], not {list(shape)}")
    if not isinstance(data, Sequence) or isinstance(data, str | bytes):
        raise InvalidRequest(f"{TEXT_INPUT} has no data")
    rows = list(_flat(data))
    if len(rows) != shape[0]:
        raise InvalidRequest(f"{TEXT_INPUT} has shape {list(shape)} but {len(rows)} elements")
    if not rows:
        raise InvalidRequest(f"{TEXT_INPUT} is empty; send at least one query")
    return [_text(row, index) for index, row in enumerate(rows)]


def _flat(data: Sequence[Any]) -> Iterator[Any]:
    for element in data:
        if isinstance(element, list):
            yield from element
        else:
            yield element


def _text(row: Any, index: int) -> str:
    if isinstance(row, bytes):
        try:
            row = row.decode()
        except UnicodeDecodeError as error:
            raise InvalidRequest(f"{TEXT_INPUT}[{index}] is not UTF-8: {error.reason}") from None
    if not isinstance(row, str):
        raise InvalidRequest(f"{TEXT_INPUT}[{index}] must be a string, not {_type(row)}")
    if not row.strip():
        raise InvalidRequest(f"{TEXT_INPUT}[{index}] is empty")
    try:
        row.encode()
    except UnicodeEncodeError:
        raise InvalidRequest(f"{TEXT_INPUT}[{index}] has a lone surrogate") from None
    return row


def parse_sampling(parameters: Mapping[str, Any], defaults: Sampling) -> Sampling:
    """Reads generation parameters; absent ones come from `defaults`, others are not looked at.

    Numbers may be decimal strings, because gRPC parameters can't be floats.
    """
    values: dict[str, Any] = {f.name: getattr(defaults, f.name) for f in fields(Sampling)}
    if MAX_TOKENS in parameters:
        values[MAX_TOKENS] = _integer(parameters, MAX_TOKENS, 1, MAX_MAX_TOKENS)
    if TEMPERATURE in parameters:
        values[TEMPERATURE] = _number(parameters, TEMPERATURE, 0.0, 2.0)
    if TOP_P in parameters:
        values[TOP_P] = _number(parameters, TOP_P, 0.0, 1.0, exclusive_low=True)
    if REPETITION_PENALTY in parameters:
        values[REPETITION_PENALTY] = _number(
            parameters, REPETITION_PENALTY, 0.0, 10.0, exclusive_low=True
        )
    if SEED in parameters:
        values[SEED] = _integer(parameters, SEED, 0, 2**63 - 1)
    if STOP in parameters:
        values[STOP] = _stop(parameters[STOP])
    return Sampling(**values)


def parse_prefer(parameters: Mapping[str, Any]) -> str | None:
    """The caller's `hem_prefer`, or None."""
    prefer = parameters.get(HEM_PREFER)
    if prefer not in (None, EDGE, CLOUD):
        raise InvalidRequest(f"{HEM_PREFER} must be {EDGE!r} or {CLOUD!r}, not {prefer!r}")
    return prefer


def hem_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The `hem_*` parameters of a request, which its response carries back."""
    return {name: value for name, value in parameters.items() if name.startswith(HEM_PREFIX)}


def sampling_parameters(sampling: Sampling) -> dict[str, Scalar]:
    """The inverse of `parse_sampling`, for engines that forward V2."""
    parameters: dict[str, Scalar] = {
        MAX_TOKENS: sampling.max_tokens,
        TEMPERATURE: sampling.temperature,
        TOP_P: sampling.top_p,
        REPETITION_PENALTY: sampling.repetition_penalty,
    }
    if sampling.stop:
        parameters[STOP] = json.dumps(sampling.stop)
    if sampling.seed is not None:
        parameters[SEED] = sampling.seed
    return parameters


def text_request(
    texts: Sequence[str], parameters: Mapping[str, Scalar] | None = None, id: str | None = None
) -> dict[str, Any]:
    """The V2 JSON request that asks `texts`."""
    request: dict[str, Any] = {
        "inputs": [
            {
                "name": TEXT_INPUT,
                "shape": [len(texts)],
                "datatype": "BYTES",
                "data": list(texts),
            }
        ]
    }
    if id is not None:
        request["id"] = id
    if parameters:
        request["parameters"] = dict(parameters)
    return request


def _integer(parameters: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = parameters[name]
    if isinstance(value, str):
        try:
            value = int(value)
        except ValueError:
            value = None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidRequest(
            f"{name} must be a whole number from {low} to {high}, not {_shown(parameters[name])}"
        )
    return value


def _number(
    parameters: Mapping[str, Any], name: str, low: float, high: float, exclusive_low: bool = False
) -> float:
    value = parameters[name]
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            value = math.nan
    valid = isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high
    if not valid or (exclusive_low and value == low):
        above = f"above {low:g} and at most" if exclusive_low else f"from {low:g} to"
        raise InvalidRequest(
            f"{name} must be a number {above} {high:g}, not {_shown(parameters[name])}"
        )
    return float(value)


def _stop(value: Any) -> tuple[str, ...]:
    """A string, or a JSON array of strings in a string: V2 parameters can't be lists."""
    strings: Any = [value]
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            strings = json.loads(value)
        except (ValueError, RecursionError):
            strings = [value]
    if (
        not isinstance(strings, list)
        or len(strings) > MAX_STOP_STRINGS
        or not all(isinstance(string, str) and string for string in strings)
    ):
        raise InvalidRequest(
            f"{STOP} must be a string, or a JSON array of up to {MAX_STOP_STRINGS} non-empty "
            f"strings in a string, not {_shown(value)}"
        )
    return tuple(strings)


def _shown(value: Any) -> str:
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:77]}..."


def _type(value: Any) -> str:
    return "null" if value is None else type(value).__name__
