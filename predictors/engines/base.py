"""The seam between the predictor and whatever answers: text by text, or tensors by tensors.

An engine of a user's own subclasses TextEngine or TensorEngine, and EngineSettings for its options.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import ClassVar, Final

from predictors.contract import Answer, Delta, Query
from predictors.contract.chat import finish_of
from predictors.contract.speculation import Round, Verdict, VerifyModel
from predictors.contract.tensors import TensorRequest, TensorResponse, TensorType
from predictors.settings import EngineSettings

__all__ = ["DraftChecker", "Engine", "EngineSettings", "TensorEngine", "TextEngine"]


class Engine(ABC):
    """What every engine has. One engine serves many callers at once on one event loop.

    It answers text (TextEngine), tensors (TensorEngine), or both; then a request with `text_input`
    is text. It must not block the loop: a model runs in threads or processes of its own.
    """

    Settings: ClassVar[type[EngineSettings]] = EngineSettings
    remote: bool = False  # whether it asks another server; traces tell

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings

    @abstractmethod
    async def start(self) -> None:
        """Loads the model, and returns once the engine can answer.

        Raises ConfigurationError that names what is wrong (directory, file, URL, option).
        """

    async def healthy(self) -> bool:
        """Whether a started engine can still answer; False takes the predictor out of service."""
        return True

    def cause_of_death(self) -> str | None:
        """Why a started engine can never answer again, in one line; None where it still may.

        Called once a second, so it only looks. The process then ends, and its supervisor starts it
        again. A remote server that is down is not a death, as it may come back (see `healthy`).
        """
        return None

    @property
    def draft_checker(self) -> "DraftChecker | None":
        """What of it checks other models' drafts; None: it is not to, or can't."""
        return self if isinstance(self, DraftChecker) and self.checks_drafts else None

    async def close(self) -> None:
        """Releases threads, connections and memory. Called once, also after a failed start and
        after the engine's death."""
        return None


# What an engine takes of a Query beside its text and V2's sampling: see TextEngine.takes.
MESSAGES: Final = "messages"  # conversations of more than one user message
RAW: Final = "raw"  # texts without the chat template
TOKENS: Final = "tokens"  # texts in the model's own numbers
LOGPROBS: Final = "logprobs"  # top_logprobs
ECHO: Final = "echo"  # the prompt in front of the answer, with its log-probabilities
CONTINUES: Final = "continues"  # the last message as the beginning of the answer
PENALTIES: Final = "penalties"  # presence_penalty, frequency_penalty


class TextEngine(Engine):
    """Generates answers to queries, whole or bit by bit.

    `takes` are the parts of a Query that this engine understands, beside its text and V2's
    sampling: the constants above, and names of Query.options. What it doesn't take is refused by
    its name before the engine is asked, never ignored. `reads_route`: where mining has decided for
    the edge it answers otherwise.
    """

    takes: frozenset[str] = frozenset()
    reads_route: bool = False

    @abstractmethod
    async def generate(self, queries: Sequence[Query]) -> list[Answer]:
        """Answers row by row, in order.

        It is cancelled when the caller is gone; the engine then frees what the queries held. Raises
        HEMError: InvalidRequest for what this model can't take, EngineError or UpstreamError.
        """

    async def stream(self, query: Query) -> AsyncGenerator[Delta]:
        """The answer of one query as it comes; an engine that has only whole answers gives one.

        It ends at its last Delta. Closed before that (`aclose`), or cancelled, the engine frees
        what the query held. Raises as `generate`, also in the middle of the answer.
        """
        (answer,) = await self.generate([query])
        finish = finish_of(answer, query.sampling.max_tokens)
        yield Delta(answer.text, finish_reason=finish, answer=answer, served_by=answer.served_by)

    async def whole(self, query: Query) -> list[Delta]:
        """All of `stream` for a caller who reads nothing before the end. An engine that answers
        faster when nobody reads along overrides it."""
        async with aclosing(self.stream(query)) as deltas:
            return [delta async for delta in deltas]


class DraftChecker(ABC):
    """What an engine has, too, that checks other models' drafts: see contract.speculation."""

    @property
    @abstractmethod
    def checks_drafts(self) -> bool:
        """Whether it is to."""

    @abstractmethod
    def verify_model(self) -> VerifyModel:
        """Of a started engine, which does not know its `name`."""

    @abstractmethod
    async def check(self, round: Round) -> Verdict:
        """Raises Forgotten, InvalidRequest, EngineError."""


class TensorEngine(Engine):
    """Maps tensors to tensors: classifiers, detectors, and servers of any model."""

    @abstractmethod
    async def infer(self, request: TensorRequest) -> TensorResponse:
        """Answers one request. It is cancelled when the caller is gone.

        Raises HEMError: InvalidRequest where an input is missing or has the wrong type or shape,
        EngineError or UpstreamError.
        """

    def inputs(self) -> list[TensorType]:
        """What a started model takes, for the V2 metadata; empty where it isn't known."""
        return []

    def outputs(self) -> list[TensorType]:
        """What a started model gives, for the V2 metadata; empty where it isn't known."""
        return []
