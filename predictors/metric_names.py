"""Values of metrics' labels that this project does not choose itself, in bounded number.

Each value of a label is a series that Prometheus keeps. A name that another server tells may be a
new one each time.
"""

import threading
from typing import Final

OTHER: Final = "other"
MOST: Final = 50
_LONGEST: Final = 100


class Names:
    """The first `most` names are kept; all that come later are OTHER, and so is what no name of a
    model looks like."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def bounded(self, name: str) -> str:
        if name in self._known:
            return name
        if not name or len(name) > _LONGEST or not name.isprintable():
            return OTHER
        with self._lock:
            if len(self._known) >= self._most:
                return OTHER
            self._known.add(name)
        return name


def one_of(value: object, names: tuple[str, ...], otherwise: str = OTHER) -> str:
    """`value`, where it is among the `names` of a fixed table."""
    return value if isinstance(value, str) and value in names else otherwise
