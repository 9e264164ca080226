"""How much is found of what Faker plants, and how often nothing is taken for something."""

import gzip

import orjson
import pytest

from tests.conftest import ROOT
from tests.transformers_hem.guards.privacy.corpus import SENTENCES, corpus
from transformers_hem.guards.privacy.base import PrivacyParameters
from transformers_hem.guards.privacy.detectors import Detectors
from transformers_hem.guards.privacy.measuring import Labelled, Measurement, measure

MESSAGES = 5600
DATA = ROOT.parent / "shared" / "data"
MOST_ALARMS = 0.01


@pytest.fixture(scope="module")
def measured() -> Measurement:
    return measure(Detectors(PrivacyParameters()), corpus(MESSAGES, seed=17))


@pytest.mark.parametrize(
    ("kind", "least"),
    [("card", 0.99), ("iban", 0.99), ("national_id", 0.99), ("email", 0.95), ("phone", 0.95)],
)
def test_what_is_planted_in_eight_languages_is_found(
    measured: Measurement, kind: str, least: float
) -> None:
    assert len(SENTENCES) == 8
    of = measured.kinds[kind]
    assert of.items == MESSAGES // 5
    assert of.recall is not None and of.recall >= least


@pytest.mark.parametrize("name", ["gsm8k_mixtral_gpt4", "mmlu_mixtral_gpt4"])
def test_hardly_any_prompt_of_a_benchmark_is_private(name: str) -> None:
    path = DATA / f"{name}.jsonl.gz"
    if not path.exists():
        pytest.skip(f"{path.name} is not here")
    lines = gzip.decompress(path.read_bytes()).splitlines()
    rows = [Labelled(orjson.loads(line)["query"], ()) for line in lines]
    result = measure(Detectors(PrivacyParameters()), rows)
    assert result.clean == len(rows) > 500
    assert result.alarmed <= MOST_ALARMS * result.clean
