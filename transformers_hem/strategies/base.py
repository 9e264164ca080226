"""What a strategy is: when it is asked, its parameters, and what the cloud is asked for a query."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from transformers_hem.algorithms.base import AlgorithmParameters, Stage


@dataclass(frozen=True, slots=True)
class Turn:
    """One query on its way to the cloud. `query` is V2's text, or the last user message of a chat;
    the messages before it stay as they are. `draft` is the edge's answer to it, empty in the query
    stage."""

    query: str
    draft: str = ""


class Strategy(ABC):
    """Says what the cloud is asked. Guards, the caller's wish and an algorithm, where there is one,
    come first: what they keep at the edge, no strategy sees.

    One instance serves concurrent requests: `asks` changes nothing on it, and waits for nothing.
    """

    # query: it is asked before the edge answers; answer: with the edge's answer.
    stage: ClassVar[Stage]
    # The edge's own engine asks the cloud, and is told the route; there is no uplink, and what the
    # cloud is asked is the query as it is.
    at_edge: ClassVar[bool] = False
    Parameters: ClassVar[type[AlgorithmParameters]] = AlgorithmParameters

    def __init__(self, parameters: AlgorithmParameters) -> None:  # noqa: B027 - many keep nothing
        """Raises ConfigurationError for parameters that it can't work with."""

    @abstractmethod
    def asks(self, turn: Turn) -> str | None:
        """What the cloud is asked in place of the query; None: nothing, the edge's answer is it."""
