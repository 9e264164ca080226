"""Telemetry beside an answer in a row of a file: one check for all who read such rows."""

from collections.abc import Iterable, Mapping
from typing import Any

from predictors.contract.answer import is_telemetry
from predictors.contract.names import TELEMETRY
from predictors.errors import ConfigurationError


def row_telemetry(
    row: Mapping[str, Any], where: str, prefix: str = "", names: Iterable[str] = TELEMETRY
) -> dict[str, Any]:
    """What the row has of `names`, each under `prefix` and its name; a null is as good as absent.

    Raises ConfigurationError that begins with `where`, for a value that the contract's tensor can't
    hold: a fraction of a token, 3e9 of them, NaN, a text.
    """
    found = {name: row[key] for name in names if row.get(key := f"{prefix}{name}") is not None}
    for name, value in found.items():
        if not is_telemetry(name, value):
            raise ConfigurationError(
                f"{where}: '{prefix}{name}' must be a number ({TELEMETRY[name]}), not {value!r:.80}"
            )
    return found
