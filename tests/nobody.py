"""Files as another user sees them, who owns none."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_NOBODY = 65534


@contextmanager
def nobody() -> Iterator[None]:
    """Whoever runs the tests; who is not root may not do more than that user as it is."""
    if (before := os.geteuid()) == 0:
        os.seteuid(_NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)
