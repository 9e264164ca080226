"""Times on a command line."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from predictors.errors import ConfigurationError

_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days"}


def read_time(text: str, option: str) -> datetime:
    """2026-11-29, 2026-11-29T12:00 (UTC), or how long ago: 90m, 24h, 7d. Raises
    ConfigurationError."""
    ago = re.fullmatch(r"(\d{1,6})([mhd])", text)
    try:
        if ago:
            return datetime.now(UTC) - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
        found = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise ConfigurationError(
            f"{option} {text!r:.60} must be a time, as 2026-11-29T12:00, or how long ago, as 24h"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
