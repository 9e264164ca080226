"""Times as logs write them."""

from datetime import UTC, datetime

from inferencegraph.evaluate.importing.rows import amount


def unix_seconds(value: object) -> float | None:
    """Of ISO 8601, with a blank or a T, or of Unix seconds; without a zone it is UTC. None for what
    is no time."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError:
            return amount(value)
        # Go writes year 1 where it has no time.
        return amount((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return amount(value)


def seconds_between(began: object, ended: object) -> float | None:
    """None where a time is missing, or the end comes first."""
    first, last = unix_seconds(began), unix_seconds(ended)
    if first is None or last is None or last < first:
        return None
    return round(last - first, 6)
