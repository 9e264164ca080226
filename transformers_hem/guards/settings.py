"""Reads HEM_GUARDS, and loads the guards that it names."""

from collections.abc import Mapping
from typing import Any

import orjson

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import AlgorithmParameters
from transformers_hem.algorithms.parameters import parse, read_block
from transformers_hem.guards import GUARDS
from transformers_hem.guards.base import Guard

Blocks = dict[str, dict[str, str]]


def read_guards(text: str) -> Blocks:
    """Each guard's parameters by its name, in the order of the text.

    Two forms: names, `A,B`; and a JSON list of names and blocks, `["A", {"name": "B", "parameters":
    [{"key": "cpu_threshold", "value": "90"}]}]`. Raises ConfigurationError.
    """
    guards: Blocks = {}
    for entry in _entries(text):
        name, values = (entry, {}) if isinstance(entry, str) else read_block(entry, "HEM_GUARDS")
        if name is None:
            raise ConfigurationError(
                "a guard in HEM_GUARDS is a name or {'name': ..., 'parameters': [...]}, "
                f"not {orjson.dumps(entry, default=str).decode()}"
            )
        if name in guards:
            raise ConfigurationError(f"HEM_GUARDS names {name!r} twice")
        guards[name] = values
    return guards


def _entries(text: str) -> list[object]:
    if not text.lstrip().startswith(("[", "{")):
        return [name.strip() for name in text.split(",") if name.strip()]
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError(f"HEM_GUARDS is not JSON: {error}") from error
    return value if isinstance(value, list) else [value]


def guard_of(
    name: str, values: Mapping[str, str], settings: Mapping[str, Any]
) -> tuple[type[Guard], AlgorithmParameters]:
    """Its class, and its parameters; `settings`, HEM's by their fields, stand for those that have
    one and are not given. Raises ConfigurationError naming the guard, the parameter and the known
    ones."""
    kind = GUARDS.load(name)
    fields = getattr(kind.Parameters, "of_settings", {})
    stand_in = {own: str(settings[field]) for own, field in fields.items() if settings.get(field)}
    return kind, parse(name, kind, {**stand_in, **values})


def load_guard(
    name: str, values: Mapping[str, str], settings: Mapping[str, Any] | None = None
) -> Guard:
    """Raises as `guard_of`."""
    kind, parameters = guard_of(name, values, settings or {})
    return kind(parameters)
