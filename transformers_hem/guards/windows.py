"""Windows of time, as settings write them: 10s, 5m, 1h, 30d."""

import re
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, Field

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_WINDOW: Final = re.compile(r"([1-9]\d{0,5})([smhd])", re.ASCII)


def read_window(value: Any) -> Any:
    """Seconds. Raises ValueError."""
    if isinstance(value, int | float):
        return value
    found = _WINDOW.fullmatch(str(value).strip())
    if not found:
        raise ValueError("must be a number and s, m, h or d, as 90s, 5m, 1h, 30d")
    return float(int(found[1]) * _UNITS[found[2]])


Window = Annotated[float, BeforeValidator(read_window), Field(gt=0, le=366 * 86_400)]
