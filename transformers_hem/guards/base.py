"""What a guard is: a rule that may send a request to one side, whatever the algorithm says."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Leaving, Route
from transformers_hem.guards.admission import Going, Held
from transformers_hem.guards.placeholders import Placeholders


class GuardParameters(AlgorithmParameters):
    """Base of a guard's parameters that settings of HEM stand for where they are not given:
    `of_settings` has the settings' fields by the parameters' names."""

    of_settings: ClassVar[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Redacted:
    """What leaves instead of a request's body, and what its placeholders stand for."""

    body: Mapping[str, Any]
    placeholders: Placeholders


class Guard(ABC):
    """Asked before the algorithm, in the order of HEM_GUARDS; the first that names a route decides.

    One instance serves concurrent requests.
    """

    # A guard of privacy overrules the caller's `hem_prefer` too. Where it raises, the request stays
    # at the edge.
    privacy: ClassVar[bool] = False
    # Counts up whenever the same request may be judged otherwise; the egress ledger has it.
    version: ClassVar[int] = 1
    # It counts what goes to the cloud, by `admit`.
    counts: ClassVar[bool] = False
    Parameters: ClassVar[type[AlgorithmParameters]] = AlgorithmParameters

    def __init__(self, parameters: AlgorithmParameters) -> None:  # noqa: B027 - some need nothing
        """Raises ConfigurationError where the guard can't do its work."""

    @abstractmethod
    def route(self, batch: Batch) -> Route | None:
        """Where this request has to go; None leaves it to the next. Never blocks. It may be asked
        several times for one request, and counts nothing."""

    def redacted(self, leaving: Leaving) -> Redacted | None:
        """What leaves instead of the body of a request that `route` lets go; None: the body."""
        return None

    async def admit(self, going: Going) -> Held | None:
        """Counts a request that is about to go to the cloud, once for each attempt; None where
        there is nothing to put right at its end. Raises KeptAtEdge."""
        return None

    def close(self) -> None:  # noqa: B027 - some hold nothing
        """Gives back files and threads. Another guard is in its place from now on; requests that
        began with it still ask it."""
