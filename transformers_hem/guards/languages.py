"""Sends queries to one side by their language.

py3langid tells it: BSD, its model is in its package, and it takes a tenth of a millisecond for
what is looked at. lingua is surer of a few words, and takes five times as long and 96 MB of disk.
"""

import copy
import functools
from collections.abc import Iterator
from typing import Any, ClassVar, Final, Self

from py3langid.langid import MODEL_FILE, LanguageIdentifier
from pydantic import Field, model_validator

from predictors.errors import ConfigurationError, known
from transformers_hem.algorithms.base import AlgorithmParameters, Batch, Route
from transformers_hem.guards.base import Guard

_REMEMBERED: Final = 64


class LanguageParameters(AlgorithmParameters):
    """`languages` (ISO 639-1 with commas between them: en,de) go to `route`, and all others to
    `others`; where one of the two is empty that is left to the algorithm.

    `among`: the languages that come at all; fewer are told apart better. The first `characters` of
    a query are looked at, and a guess below `least`, a probability, says nothing.
    """

    languages: str = Field(min_length=1)
    route: Route | None = None
    others: Route | None = None
    among: str = ""
    least: float = Field(default=0.5, ge=0, le=1)
    characters: int = Field(default=100, gt=0)

    @model_validator(mode="after")
    def _sends(self) -> Self:
        if self.route is None and self.others is None:
            raise ValueError(
                "needs route, where these languages go, or others, where the rest goes"
            )
        return self


class LanguageGuard(Guard):
    """A request of several queries goes where the first one says that is told."""

    Parameters: ClassVar[type[AlgorithmParameters]] = LanguageParameters

    def __init__(self, parameters: LanguageParameters) -> None:
        self._parameters = parameters
        self._languages = frozenset(_words(parameters.languages))
        self._identifier = copy.copy(_model())
        among = set(_words(parameters.among))
        for code in sorted(self._languages | among):
            if code not in self._identifier.labels:
                names = self._identifier.labels
                raise ConfigurationError(f"LanguageGuard: language {code!r}: {known(code, names)}")
        if among:
            self._identifier.set_languages(sorted(among | self._languages))
        # A guard may be asked several times for one request.
        self._guessed = functools.lru_cache(maxsize=_REMEMBERED)(self._identifier.classify)

    def route(self, batch: Batch) -> Route | None:
        return next(self._routes(batch), None)

    def _routes(self, batch: Batch) -> Iterator[Route]:
        for text in batch.texts:
            route = self._route(text[: self._parameters.characters])
            if route is not None:
                yield route

    def _route(self, text: str) -> Route | None:
        language, sure = self._guessed(text)
        if sure < self._parameters.least:
            return None
        found = language in self._languages
        return self._parameters.route if found else self._parameters.others


@functools.cache
def _model() -> Any:
    """60 MB of memory."""
    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def _words(text: str) -> list[str]:
    return [word for word in (part.strip().lower() for part in text.split(",")) if word]
