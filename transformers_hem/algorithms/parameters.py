"""Parameters of an algorithm: from the CRD's list of strings, or JSON, to a typed model."""

import difflib
from typing import Any

import orjson
from pydantic import ValidationError

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Algorithm, AlgorithmParameters


def read_parameters(text: str) -> tuple[str | None, dict[str, str]]:
    """Reads `HEM_PARAMETERS`: the algorithm's name where the text holds one, and name -> value.

    Three forms: `{"seed": 7}`; the CRD's list `[{"key"|"name": "seed", "value": "7"}]`; and the
    CRD's whole block `{"name": "Random", "parameters": [...]}`.
    """
    if not text.strip():
        return None, {}
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"HEM_PARAMETERS is not JSON: {error}") from error
    name = None
    if isinstance(value, dict) and isinstance(value.get("parameters"), list):
        name = value.pop("name", None)
        entries = value.pop("parameters")
        if value or not isinstance(name, str | None):
            raise ConfigurationError(
                "HEM_PARAMETERS takes 'name' (a string) and 'parameters' (a list) only, "
                f"not {text.strip()!r}"
            )
        value = entries
    if isinstance(value, list):
        value = _from_list(value)
    if not isinstance(value, dict):
        raise ConfigurationError(
            f"HEM_PARAMETERS must be a JSON object or a list of name and value, not {text!r}"
        )
    return name, {key: _as_string(key, item) for key, item in value.items()}


def _from_list(entries: list[Any]) -> dict[str, Any]:
    parameters: dict[str, Any] = {}
    for entry in entries:
        names = [entry[k] for k in ("key", "name") if k in entry] if isinstance(entry, dict) else []
        if (
            len(names) != 1
            or not isinstance(names[0], str)
            or set(entry) - {"key", "name", "value"}
        ):
            raise ConfigurationError(
                "a parameter is {'key' or 'name': ..., 'value': ...}, "
                f"not {orjson.dumps(entry).decode()}"
            )
        if names[0] in parameters:
            raise ConfigurationError(f"parameter {names[0]!r} is given twice")
        parameters[names[0]] = entry.get("value", "")
    return parameters


def _as_string(name: str, value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    raise ConfigurationError(f"parameter {name!r} must be a string or a number, not {value!r}")


def parse(name: str, algorithm: type[Algorithm], values: dict[str, str]) -> AlgorithmParameters:
    """Checks `values` against the algorithm's own model.

    Raises ConfigurationError naming the algorithm, the parameter, its value and the known ones.
    """
    known = sorted(algorithm.Parameters.model_fields)
    for unknown in (key for key in values if key not in known):
        near = difflib.get_close_matches(unknown, known, n=1)
        raise ConfigurationError(
            f"{name} has no parameter {unknown!r} (value {values[unknown]!r}); "
            f"known: {', '.join(known) or 'none'}"
            + (f"; did you mean {near[0]!r}?" if near else "")
        )
    try:
        return algorithm.Parameters.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0])
        raise ConfigurationError(
            f"{name}: parameter {key!r} can't be {values.get(key)!r}: {first['msg']}; "
            f"known: {', '.join(known)}"
        ) from error
