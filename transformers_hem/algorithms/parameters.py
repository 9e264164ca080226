"""Parameters of an algorithm: from the CRD's list of strings, or JSON, to a typed model."""

import math
from typing import Any, Final

import orjson
from pydantic import ValidationError

from predictors.errors import ConfigurationError, first_fault, known
from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters

# A block as Sedna writes it has the first two; as Ianvs writes it, the others. `type` is always
# hard_example_mining and `url` the file of the class, which here is in a table.
_LISTS: Final = ("parameters", "hyperparameters")
THRESHOLD: Final = "threshold"  # the name of the parameter
_BLOCK: Final = frozenset({"name", *_LISTS, "type", "url"})


def read_parameters(text: str, source: str = "HEM_PARAMETERS") -> tuple[str | None, dict[str, str]]:
    """Reads `HEM_PARAMETERS`, or another `source`: the algorithm's name where the text holds one,
    and name -> value.

    The forms are those of `read_block`, as JSON.
    """
    if not text.strip():
        return None, {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"{source} is not JSON: {error}") from error
    return read_block(value, source)


def read_block(value: object, source: str) -> tuple[str | None, dict[str, str]]:
    """The name of a block where it has one, and its parameters, name -> value.

    Four forms: `{"seed": 7}`; the CRD's list `[{"key"|"name": "seed", "value": "7"}]`; the CRD's
    whole block `{"name": "Random", "parameters": [...]}`; and Ianvs's, whose list is
    `"hyperparameters": [{"seed": {"values": [7]}}]`. `source` is named in errors.
    """
    name = None
    if isinstance(value, dict) and (
        any(isinstance(value.get(key), list) for key in _LISTS)
        or ("name" in value and set(value) <= _BLOCK)
    ):
        name, value = _named(value, source)
    if isinstance(value, list):
        value = _from_list(value, source)
    if not isinstance(value, dict):
        raise ConfigurationError(
            f"{source} must be a JSON object or a list of name and value, not {_shown(value)}"
        )
    return name, {key: _as_string(key, item, source) for key, item in value.items()}


def _named(block: dict[str, Any], source: str) -> tuple[str | None, Any]:
    lists = [block[key] for key in _LISTS if block.get(key) is not None]
    name = block.get("name")
    if len(lists) > 1 or not set(block) <= _BLOCK or not isinstance(name, str | None):
        raise ConfigurationError(
            f"{source} takes 'name' (a string) and 'parameters' (a list) only, not {_shown(block)}"
        )
    return name, lists[0] if lists else []


def _from_list(entries: list[Any], source: str) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for entry in entries:
        name, value = _entry(entry, source)
        if name in parameters:
            raise ConfigurationError(f"{source}: parameter {name!r} is set twice")
        parameters[name] = value
    return parameters


def _entry(entry: object, source: str) -> tuple[str, Any]:
    match entry:
        case {"key": str(name), **rest} | {"name": str(name), **rest} if set(rest) <= {"value"}:
            return name, rest.get("value", "")
        case dict() if len(entry) == 1:
            ((key, of_key),) = entry.items()
            match of_key:
                case {"values": [value], **others} if not others:
                    return str(key), value
    raise ConfigurationError(
        f"{source}: a parameter is {{'key' or 'name': ..., 'value': ...}}, or "
        f"{{name: {{'values': [one value]}}}}, not {_shown(entry)}"
    )


def _as_string(name: str, value: object, source: str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ConfigurationError(
        f"{source}: parameter {name!r} must be a string or a number, not {_shown(value)}"
    )


def _shown(value: object) -> str:
    shown = orjson.dumps(value, default=str).decode()
    return shown if len(shown) <= 200 else f"{shown[:197]}..."


def parse(name: str, owner: Any, values: dict[str, str]) -> AlgorithmParameters:
    """Checks `values` against `owner.Parameters`; `owner` is an Algorithm's or a Guard's class.

    Raises ConfigurationError naming the algorithm, the parameter, its value and the known ones.
    """
    model: type[AlgorithmParameters] = owner.Parameters
    for alias, own in model.aliases.items():
        if alias in values and own in values:
            raise ConfigurationError(f"{name}: {alias!r} is another name of {own!r}; give one")
    values = {model.aliases.get(key, key): value for key, value in values.items()}
    unknown = next((key for key in values if key not in model.model_fields), None)
    if unknown is not None:
        raise ConfigurationError(
            f"{name} has no parameter {unknown!r} (value {values[unknown]!r}); "
            f"{known(unknown, model.model_fields)}"
        )
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigurationError(
            f"{name}: {_fault(error, values)}; known: {', '.join(sorted(model.model_fields))}"
        ) from error


def take_threshold(algorithm: type[Algorithm], values: dict[str, str]) -> float | None:
    """Takes `threshold` out of the parameters, where Sedna and Ianvs write it beside the
    algorithm's own; it stays where the algorithm declares a `threshold` with another meaning."""
    if THRESHOLD not in values or THRESHOLD in algorithm.Parameters.model_fields:
        return None
    text = values.pop(THRESHOLD)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise ConfigurationError(f"parameter {THRESHOLD!r} must be from 0 to 1, not {text!r}")
    return value


def _fault(error: ValidationError, values: dict[str, str]) -> str:
    path, message, _ = first_fault(error)
    key = path.partition(".")[0]
    if not key:
        return message
    if key not in values:
        return f"parameter {key!r} is missing"
    return f"parameter {key!r} can't be {values[key]!r}: {message}"
