"""Sends queries to one side by the words and the patterns that they have."""

from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, model_validator

from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Route
from transformers_hem.guards.base import Guard
from transformers_hem.guards.privacy.normalising import normalise
from transformers_hem.guards.privacy.own import read_patterns, read_words


class TopicParameters(AlgorithmParameters):
    """`words`: a file with a word, or several, on each line; `patterns`: a file with `name pattern`
    on each line, by RE2. A query that has one of them goes to `route`. Of each only the first
    `characters` are looked at."""

    files: ClassVar[frozenset[str]] = frozenset({"patterns", "words"})

    words: str = ""
    patterns: str = ""
    route: Route = "edge"
    characters: int = Field(default=20_000, gt=0)

    @model_validator(mode="after")
    def _some(self) -> Self:
        if not (self.words or self.patterns):
            raise ValueError("needs words or patterns, a file")
        return self


class TopicGuard(Guard):
    """Looks at what is mined: in a chat the last message, or all of them by HEM_CONVERSATION."""

    Parameters: ClassVar[type[AlgorithmParameters]] = TopicParameters

    def __init__(self, parameters: TopicParameters) -> None:
        self._route: Route = parameters.route
        self._characters = parameters.characters
        expressions = list(
            read_patterns(Path(parameters.patterns)).values() if parameters.patterns else ()
        )
        words = read_words(Path(parameters.words)) if parameters.words else None
        self._expressions = [*expressions, *([] if words is None else [words])]

    def route(self, batch: Batch) -> Route | None:
        return self._route if any(map(self._has, batch.texts)) else None

    def _has(self, text: str) -> bool:
        written = normalise(text[: self._characters]).text
        return any(expression.search(written) is not None for expression in self._expressions)
