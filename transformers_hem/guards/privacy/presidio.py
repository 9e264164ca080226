"""Names and places, which only their meaning tells: by Presidio, with a spaCy model that the user
brings (its own recognizers of numbers are not asked: the detectors beside this one find those)."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

import spacy
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry, RecognizerResult
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import SpacyRecognizer

from predictors.errors import ConfigurationError
from transformers_hem.guards.privacy.base import Detector, PrivacyParameters, Scanned, Span


class _Model:
    """One for all kinds: a text is read once."""

    def __init__(self, path: str, language: str) -> None:
        engine = SpacyNlpEngine(models=[{"lang_code": language, "model_name": path}])
        recognizers: list[Any] = [SpacyRecognizer(supported_language=language)]
        registry = RecognizerRegistry(recognizers, supported_languages=[language])
        self._language = language
        self._analyzer = AnalyzerEngine(registry, engine, supported_languages=[language])
        self._known: WeakKeyDictionary[Scanned, list[RecognizerResult]] = WeakKeyDictionary()

    def find(self, scanned: Scanned, entity: str) -> Iterator[Span]:
        found = self._known.get(scanned)
        if found is None:
            found = self._known[scanned] = self._analyzer.analyze(scanned.text, self._language)
        places = (Span(each.start, each.end) for each in found if each.entity_type == entity)
        yield from sorted(places)


@lru_cache
def _load(path: str, language: str) -> _Model:
    """Raises ConfigurationError. Presidio would fetch a model that is not there."""
    if not path:
        raise ConfigurationError(
            "person and location need a spaCy model: set spacy_model to its folder, or to the name "
            "of an installed one, such as en_core_web_sm"
        )
    if not (Path(path).is_dir() or spacy.util.is_package(path)):
        raise ConfigurationError(f"spacy_model {path!r} is no folder and no installed model")
    try:
        return _Model(path, language)
    except Exception as error:  # of spaCy, of Presidio, and of what the model's parts do
        raise ConfigurationError(f"spacy_model {path!r} can't be loaded: {error}") from error


class _Entities(Detector):
    trigger: ClassVar[str] = r"\pL"
    entity: ClassVar[str]

    def __init__(self, parameters: PrivacyParameters) -> None:
        self._model = _load(parameters.spacy_model, parameters.spacy_language)

    def find(self, scanned: Scanned) -> Iterator[Span]:
        yield from self._model.find(scanned, self.entity)


class Persons(_Entities):
    """Names of people."""

    entity: ClassVar[str] = "PERSON"


class Locations(_Entities):
    """Names of places, and addresses as far as the model knows them."""

    entity: ClassVar[str] = "LOCATION"
