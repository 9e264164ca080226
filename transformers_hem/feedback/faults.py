"""What keeps feedback from being kept, for those who sent it."""

from typing import Final

from predictors.errors import HEMError

AGAIN_SECONDS: Final = 1.0  # until a store that failed is tried again


class Unusable(HEMError):
    """The store can't be used now; nothing of what was sent is kept. One line of the log is for
    many."""

    status = 503
    told = True
    retry_after: float = AGAIN_SECONDS


class Conflict(HEMError):
    """A key that is another feedback's."""

    status = 409
