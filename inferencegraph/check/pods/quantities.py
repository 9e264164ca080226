"""Kubernetes' quantities: 2, 250m, 1.5Gi, 1e3."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any, Final

_WRITTEN: Final = re.compile(
    r"([+-]?(?:\d+(?:\.\d*)?|\.\d+))([KMGTPE]i|[numkMGTPE]|[eE][+-]?\d{1,3})?", re.ASCII
)
_DECIMAL: Final = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15}
_POWERS: Final = "KMGTPE"


def quantity(value: Any) -> Decimal | None:
    """None for what is none: the schema's to report."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    written = _WRITTEN.fullmatch(str(value))
    if written is None:
        return None
    number, unit = Decimal(written[1]), written[2] or ""
    try:
        if unit.endswith("i"):
            return number * Decimal(1024) ** (_POWERS.index(unit[0]) + 1)
        exponent = int(unit[1:]) if unit[1:] else _DECIMAL.get(unit, 18)
        return number.scaleb(exponent)
    except InvalidOperation:
        return None
