"""Names and places by Presidio, with a spaCy model such as a user brings: here one of rules."""

from pathlib import Path

import pytest

from predictors.errors import ConfigurationError
from transformers_hem.algorithms.base import Batch
from transformers_hem.guards.privacy.base import Found, PrivacyParameters
from transformers_hem.guards.privacy.detectors import Detectors
from transformers_hem.guards.settings import load_guard

spacy = pytest.importorskip("spacy")
pytestmark = pytest.mark.slow  # Presidio imports torch where it finds it

TEXT = "Ask \uff21nna Schmidt, a@b.com, in Hauptstr. 5, Berlin."


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pipeline = spacy.blank("en")
    pipeline.add_pipe("entity_ruler").add_patterns(
        [
            {"label": "PERSON", "pattern": "Anna Schmidt"},
            {"label": "GPE", "pattern": "Hauptstr. 5, Berlin"},
        ]
    )
    path = tmp_path_factory.mktemp("spacy") / "model"
    pipeline.to_disk(path)
    return path


def test_people_and_places_are_found_beside_the_other_kinds(model: Path) -> None:
    parameters = PrivacyParameters(kinds="email,person,location", spacy_model=str(model))
    assert Detectors(parameters).find(TEXT) == [
        Found(4, 16, "person"),
        Found(18, 25, "email"),
        Found(30, 49, "location"),
    ]


def test_the_guard_keeps_them_at_the_edge(model: Path) -> None:
    guard = load_guard("PrivacyGuard", {"kinds": "person", "spacy_model": str(model)})
    assert guard.route(Batch(1, ("Who is Anna Schmidt?",))) == "edge"
    assert guard.route(Batch(1, ("Who is a@b.com?",))) is None


def test_a_model_that_is_not_there_or_is_none_is_refused_and_never_fetched(tmp_path: Path) -> None:
    for given, fault in (
        ("", "need a spaCy model: set spacy_model"),
        ("en_core_web_none", "no folder and no installed model"),
        (str(tmp_path), "can't be loaded: .*meta.json"),
    ):
        with pytest.raises(ConfigurationError, match=fault):
            Detectors(PrivacyParameters(kinds="person", spacy_model=given))
