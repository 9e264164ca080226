"""What a guard is: a rule that may send a request to one side, whatever the algorithm says."""

from abc import ABC, abstractmethod
from typing import ClassVar

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Route


class Guard(ABC):
    """Asked before the algorithm, in the order of HEM_GUARDS; the first that names a route decides.

    One instance serves concurrent requests.
    """

    # A guard of privacy overrules the caller's `hem_prefer` too. Where it raises, the request stays
    # at the edge.
    privacy: ClassVar[bool] = False
    Parameters: ClassVar[type[AlgorithmParameters]] = AlgorithmParameters

    def __init__(self, parameters: AlgorithmParameters) -> None:  # noqa: B027 - some need nothing
        """Raises ConfigurationError where the guard can't do its work."""

    @abstractmethod
    def route(self, batch: Batch) -> Route | None:
        """Where this request has to go; None leaves it to the next. Never blocks."""

    def close(self) -> None:  # noqa: B027 - some hold nothing
        """Another guard is in its place from now on; requests that began with it still ask it."""
